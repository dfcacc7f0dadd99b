//! The sandbox through its own front door: HTTP alone.

use std::collections::BTreeMap;
use std::time::Duration;

use aws_lc_rs::hmac;
use axum::extract::State;
use axum::http::HeaderMap;
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use serde_json::{Value, json};
use tokio::sync::mpsc;

use super::super::wire;
use super::{
    App, Class, Credential, Fault, GitHub, Id, Membership, MergeMethod, Outcome, Permission,
    RepositorySelection, clock,
};

mod owners;

/// An answer, read.
struct Answer {
    status: u16,
    headers: BTreeMap<String, String>,
    body: Value,
}

/// A client with a credential of its own.
struct Client {
    url: String,
    authorization: String,
}

impl Client {
    async fn ask(&self, method: &str, path: &str, body: Value) -> Answer {
        self.ask_for(method, path, body, "application/vnd.github+json")
            .await
            .expect("the sandbox answers")
    }

    async fn ask_for(
        &self,
        method: &str,
        path: &str,
        body: Value,
        accept: &str,
    ) -> std::io::Result<Answer> {
        let headers = [
            ("authorization", self.authorization.clone()),
            ("user-agent", "tests".to_owned()),
            ("accept", accept.to_owned()),
        ];
        let body = if body.is_null() {
            Vec::new()
        } else {
            serde_json::to_vec(&body).unwrap()
        };
        let url = match path.strip_prefix("http") {
            Some(_) => path.to_owned(),
            None => format!("{}{path}", self.url),
        };
        let response = wire::send(method, &url, &headers, &body).await?;
        let text = String::from_utf8_lossy(&response.body).into_owned();
        Ok(Answer {
            status: response.status,
            headers: response.headers,
            body: serde_json::from_str(&text).unwrap_or(Value::String(text)),
        })
    }

    async fn get(&self, path: &str) -> Answer {
        self.ask("GET", path, Value::Null).await
    }

    async fn query(&self, query: &str, variables: Value) -> Value {
        let body = json!({"query": query, "variables": variables});
        self.ask("POST", "/graphql", body).await.body
    }
}

const PERMISSIONS: [(&str, &str); 6] = [
    ("administration", "write"),
    ("checks", "write"),
    ("contents", "write"),
    ("members", "read"),
    ("merge_queues", "read"),
    ("pull_requests", "write"),
];

const EVENTS: [&str; 6] = [
    "push",
    "pull_request",
    "issue_comment",
    "check_run",
    "check_suite",
    "merge_group",
];

/// An organisation with a control repository, a team and our App on all of it.
struct World {
    github: GitHub,
    app: App,
    installation: Id,
}

impl World {
    async fn new() -> Self {
        let github = GitHub::start().await;
        github
            .user("alice")
            .user("mallory")
            .organization("acme")
            .member("acme", "alice", Membership::Owner)
            .team("acme", "ai-team", &["alice"])
            .repository("acme/tenants", &[("tenants.yaml", "- name: one\n")]);
        let app = github.register_app("tenantry", &PERMISSIONS, &EVENTS, "");
        let installation = github.install(&app, "acme", RepositorySelection::All);
        Self {
            github,
            app,
            installation,
        }
    }

    fn client(&self, token: &str) -> Client {
        Client {
            url: self.github.url().to_owned(),
            authorization: format!("Bearer {token}"),
        }
    }

    fn jwt(&self, life: i64) -> Client {
        let now = clock::now().as_second();
        let claims = json!({"iss": self.app.client_id, "iat": now - 60, "exp": now + life});
        let key = EncodingKey::from_rsa_pem(self.app.private_key_pem.as_bytes()).unwrap();
        let header = Header::new(Algorithm::RS256);
        self.client(&jsonwebtoken::encode(&header, &claims, &key).unwrap())
    }

    async fn mint(&self, wish: Value) -> Answer {
        let path = format!("/app/installations/{}/access_tokens", self.installation);
        self.jwt(540).ask("POST", &path, wish).await
    }

    async fn token(&self, wish: Value) -> Client {
        let minted = self.mint(wish).await;
        assert_eq!(minted.status, 201, "{}", minted.body);
        self.client(minted.body["token"].as_str().unwrap())
    }

    /// A client with everything that the App may do.
    async fn everything(&self) -> Client {
        self.token(Value::Null).await
    }
}

#[tokio::test]
async fn a_token_can_do_what_it_was_narrowed_to_and_no_more() {
    let world = World::new().await;
    let reader = world
        .token(json!({"permissions": {"contents": "read"}, "repositories": ["tenants"]}))
        .await;
    assert_eq!(reader.get("/repos/acme/tenants").await.status, 200);
    let key = json!({"title": "t", "key": "ssh-ed25519 AAAAC3Nza"});
    let refused = reader.ask("POST", "/repos/acme/tenants/keys", key).await;
    assert_eq!(refused.status, 403);
    assert_eq!(
        refused.body["message"],
        "Resource not accessible by integration"
    );
    assert_eq!(
        refused.headers["x-accepted-github-permissions"],
        "administration=write"
    );
    world.github.repository("acme/other", &[]);
    assert_eq!(reader.get("/repos/acme/other").await.status, 404);

    let more = world
        .mint(json!({"permissions": {"issues": "write"}}))
        .await;
    assert_eq!(more.status, 422);
    let elsewhere = world.mint(json!({"repositories": ["nowhere"]})).await;
    assert_eq!(elsewhere.status, 422);
    let credentials: Vec<Credential> = world
        .github
        .requests()
        .into_iter()
        .map(|request| request.credential)
        .collect();
    assert_eq!(credentials[0], Credential::App);
    assert!(
        matches!(&credentials[1], Credential::Installation { permissions, .. } if permissions["contents"] == "read")
    );
}

#[tokio::test]
async fn an_app_proves_itself_with_a_fresh_jwt() {
    let world = World::new().await;
    assert_eq!(world.jwt(540).get("/app").await.body["slug"], "tenantry");
    assert_eq!(world.jwt(-1).get("/app").await.status, 401);
    assert_eq!(world.jwt(900).get("/app").await.status, 401);
    assert_eq!(world.client("ghs_nothing").get("/app").await.status, 401);
    let mut forged = world.jwt(540);
    forged
        .authorization
        .truncate(forged.authorization.len() - 9);
    forged.authorization.push_str("AAAAAAAAA");
    assert_eq!(forged.get("/app").await.status, 401);
    world.github.suspend(world.installation);
    assert_eq!(world.mint(Value::Null).await.status, 403);
}

#[tokio::test]
async fn lists_are_paged_with_links_that_work() {
    let world = World::new().await;
    for number in 0..130 {
        world.github.repository(&format!("acme/r{number:03}"), &[]);
    }
    let client = world.everything().await;
    let mut path = "/orgs/acme/repos?per_page=1000".to_owned();
    let mut sizes = Vec::new();
    loop {
        let page = client.get(&path).await;
        sizes.push(page.body.as_array().unwrap().len());
        let next = page.headers.get("link").and_then(|link| {
            link.split(", ")
                .find(|one| one.ends_with("rel=\"next\""))
                .map(|one| one[1..one.find('>').unwrap()].to_owned())
        });
        match next {
            Some(next) => path = next,
            None => break,
        }
    }
    assert_eq!(sizes, [100, 31]);
    assert_eq!(
        client
            .get("/orgs/acme/repos")
            .await
            .body
            .as_array()
            .unwrap()
            .len(),
        30
    );
    assert!(world.github.unknown_requests().is_empty());
}

#[tokio::test]
async fn an_empty_repository_is_empty_until_its_first_file() {
    let world = World::new().await;
    let client = world.everything().await;
    let wish = json!({"name": "one-workspace", "private": true});
    let created = client.ask("POST", "/orgs/acme/repos", wish.clone()).await;
    assert_eq!(created.status, 201, "{}", created.body);
    let again = client.ask("POST", "/orgs/acme/repos", wish).await;
    assert_eq!(again.status, 422);
    assert_eq!(
        again.body["errors"][0]["message"],
        "name already exists on this account"
    );
    let blob = json!({"content": "x"});
    let data = client
        .ask("POST", "/repos/acme/one-workspace/git/blobs", blob)
        .await;
    assert_eq!(data.status, 409);
    assert_eq!(data.body["message"], "Git Repository is empty.");

    let file = json!({"message": "First", "content": "aGVsbG8K"});
    let path = "/repos/acme/one-workspace/contents/README.md";
    let put = client.ask("PUT", path, file.clone()).await;
    assert_eq!(put.status, 201);
    assert_eq!(
        put.body["content"]["sha"],
        "ce013625030ba8dba906f756967f9e9ca394464a"
    );
    assert_eq!(client.ask("PUT", path, file).await.status, 422);
    assert_eq!(
        world.github.file("acme/one-workspace", "main", "README.md"),
        Some("hello\n".to_owned())
    );
    let head = client
        .get("/repos/acme/one-workspace/git/ref/heads/main")
        .await;
    assert_eq!(head.body["object"]["type"], "commit");
}

#[tokio::test]
async fn a_pull_gets_a_test_merge_and_a_conflict_gets_none() {
    let world = World::new().await;
    let alice = world.github.as_user("alice");
    // Long enough to be seen on a busy machine.
    let delay = Duration::from_secs(1);
    world.github.set_merge_delay(delay);
    let edit = [("tenants.yaml", Some("- name: one\n- name: two\n"))];
    let head = alice.commit("acme/tenants", "two", "Add two", &edit);
    let number = alice.open_pull("acme/tenants", "main", "two", "Add two", "");
    let client = world.everything().await;
    let path = format!("/repos/acme/tenants/pulls/{number}");
    assert_eq!(client.get(&path).await.body["mergeable"], Value::Null);
    tokio::time::sleep(delay).await;
    let known = client.get(&path).await.body;
    assert_eq!(known["mergeable"], true);
    let merge = known["merge_commit_sha"].as_str().unwrap();
    let commit = client
        .get(&format!("/repos/acme/tenants/git/commits/{merge}"))
        .await
        .body;
    assert_eq!(commit["parents"][1]["sha"], head.as_str());
    let text = client
        .ask_for(
            "GET",
            "/repos/acme/tenants/contents/tenants.yaml?ref=refs/pull/1/merge",
            Value::Null,
            "application/vnd.github.raw+json",
        )
        .await
        .unwrap();
    assert_eq!(text.body, "- name: one\n- name: two\n");

    let clash = [("tenants.yaml", Some("- name: one\n- name: three\n"))];
    alice.commit("acme/tenants", "main", "Add three", &clash);
    assert_eq!(client.get(&path).await.body["mergeable"], Value::Null);
    tokio::time::sleep(delay).await;
    let now = client.get(&path).await.body;
    assert_eq!(now["mergeable"], false);
    assert_eq!(now["mergeable_state"], "dirty");
}

#[tokio::test]
async fn a_pull_from_a_fork_is_merged_like_any_other() {
    let world = World::new().await;
    world
        .github
        .collaborator("acme/tenants", "mallory", Permission::Pull);
    let mallory = world.github.as_user("mallory");
    assert_eq!(mallory.fork("acme/tenants"), "mallory/tenants");
    let head = mallory.commit(
        "mallory/tenants",
        "mine",
        "Add mine",
        &[("tenants.yaml", Some("- name: one\n- name: mine\n"))],
    );
    let number = mallory.open_pull("acme/tenants", "main", "mallory:mine", "Mine", "");
    let client = world.everything().await;
    let run = json!({"name": "tenantry/plan", "head_sha": head, "status": "in_progress"});
    let made = client
        .ask("POST", "/repos/acme/tenants/check-runs", run)
        .await;
    assert_eq!(made.status, 201, "{}", made.body);
    assert_eq!(made.body["pull_requests"], json!([]));
    let pull = client
        .get(&format!("/repos/acme/tenants/pulls/{number}"))
        .await
        .body;
    assert_eq!(pull["head"]["repo"]["full_name"], "mallory/tenants");
    assert_eq!(pull["author_association"], "COLLABORATOR");
    let merged = world
        .github
        .as_user("alice")
        .merge("acme/tenants", number, MergeMethod::Squash);
    let of_commit = client
        .get(&format!("/repos/acme/tenants/commits/{merged}/pulls"))
        .await
        .body;
    assert_eq!(of_commit[0]["number"], number);
    assert_eq!(of_commit[0]["merge_commit_sha"], merged.as_str());
}

#[tokio::test]
async fn checks_take_fifty_annotations_at_a_time_and_keep_them_all() {
    let world = World::new().await;
    let client = world.everything().await;
    let sha = world.github.head("acme/tenants", "main").unwrap();
    let line = json!({"path": "tenants.yaml", "start_line": 1, "end_line": 1, "annotation_level": "failure", "message": "no"});
    let output = |count: usize| json!({"title": "t", "summary": "s", "annotations": vec![line.clone(); count]});
    let run = |count| json!({"name": "tenantry/plan", "head_sha": sha, "output": output(count)});
    let runs = "/repos/acme/tenants/check-runs";
    let refused = client.ask("POST", runs, run(51)).await;
    assert_eq!(refused.status, 422);
    let created = client.ask("POST", runs, run(50)).await;
    assert_eq!(created.status, 201);
    let id = created.body["id"].as_u64().unwrap();
    let more = json!({"conclusion": "failure", "output": output(3)});
    let updated = client.ask("PATCH", &format!("{runs}/{id}"), more).await;
    assert_eq!(updated.body["status"], "completed");
    assert_eq!(updated.body["output"]["annotations_count"], 53);
    assert_eq!(
        world.github.check_runs("acme/tenants", &sha)[0]
            .annotations
            .len(),
        53
    );
    let person = world.client(&world.github.personal_token("alice"));
    assert_eq!(person.ask("POST", runs, run(1)).await.status, 403);
    assert_eq!(world.github.requests().last().unwrap().class, Class::Report);
}

#[tokio::test]
async fn a_comment_that_is_too_long_is_refused() {
    let world = World::new().await;
    let alice = world.github.as_user("alice");
    alice.commit("acme/tenants", "b", "b", &[("b", Some("b"))]);
    let number = alice.open_pull("acme/tenants", "main", "b", "b", "");
    let client = world.everything().await;
    let path = format!("/repos/acme/tenants/issues/{number}/comments");
    let long = json!({"body": "x".repeat(65_537)});
    let refused = client.ask("POST", &path, long).await;
    assert_eq!(refused.status, 422);
    let made = client.ask("POST", &path, json!({"body": "plan"})).await;
    assert_eq!(made.body["user"]["login"], "tenantry[bot]");
    assert_eq!(made.body["performed_via_github_app"]["slug"], "tenantry");
    assert_eq!(
        world.github.comments("acme/tenants", number),
        [("tenantry[bot]".to_owned(), "plan".to_owned())]
    );
}

#[tokio::test]
async fn a_deploy_key_belongs_to_one_repository_in_all_of_github() {
    let world = World::new().await;
    world.github.repository("acme/other", &[("a", "a")]);
    let client = world.everything().await;
    let key = json!({"title": "flux", "key": "ssh-ed25519 AAAAC3Nza me@here"});
    let made = client
        .ask("POST", "/repos/acme/tenants/keys", key.clone())
        .await;
    assert_eq!(made.body["key"], "ssh-ed25519 AAAAC3Nza");
    assert_eq!(made.body["read_only"], false);
    let taken = client.ask("POST", "/repos/acme/other/keys", key).await;
    assert_eq!(taken.status, 422);
    assert_eq!(taken.body["errors"][0]["message"], "key is already in use");
}

#[tokio::test]
async fn graphql_answers_in_part_and_says_what_is_missing() {
    let world = World::new().await;
    world
        .github
        .set_team_permission("acme/tenants", "ai-team", Some(Permission::Maintain));
    let query = "query($owner: String!, $n: Int = 2) {
        here: repository(owner: $owner, name: \"tenants\") { ...names collaborators(first: $n) { totalCount } }
        gone: repository(owner: $owner, name: \"gone\") { ...names }
        organization(login: $owner) { teams(first: 10) { totalCount nodes { slug repositories(first: 5) { edges { permission node { name } } } } } }
        rateLimit { cost }
      }
      fragment names on Repository { __typename name owner { login ... on Organization { teams(first: 1) { totalCount } } } }";
    let wish = json!({"permissions": {"contents": "read", "members": "read"}});
    let client = world.token(wish).await;
    let answer = client.query(query, json!({"owner": "acme"})).await;
    let data = &answer["data"];
    assert_eq!(data["here"]["name"], "tenants");
    assert_eq!(data["here"]["owner"]["teams"]["totalCount"], 1);
    assert_eq!(data["here"]["collaborators"], Value::Null);
    assert_eq!(data["gone"], Value::Null);
    assert_eq!(data["rateLimit"]["cost"], 1);
    let edge = &data["organization"]["teams"]["nodes"][0]["repositories"]["edges"][0];
    assert_eq!(edge["permission"], "MAINTAIN");
    let errors: Vec<(&Value, &Value)> = answer["errors"]
        .as_array()
        .unwrap()
        .iter()
        .map(|error| (&error["type"], &error["path"]))
        .collect();
    assert_eq!(
        errors,
        [
            (&json!("FORBIDDEN"), &json!(["here", "collaborators"])),
            (&json!("NOT_FOUND"), &json!(["gone"])),
        ]
    );
    assert!(world.github.unknown_requests().is_empty());
}

#[tokio::test]
async fn graphql_pages_by_cursor_and_finds_nodes_by_id() {
    let world = World::new().await;
    for number in 0..5 {
        world.github.repository(&format!("acme/r{number}"), &[]);
    }
    let client = world.everything().await;
    let query = "query($after: String) { organization(login: \"acme\") { repositories(first: 4, after: $after) {
        totalCount pageInfo { hasNextPage endCursor } nodes { id name isEmpty deployKeys(first: 2) { totalCount } } } } }";
    let first = client.query(query, json!({})).await;
    let page = &first["data"]["organization"]["repositories"];
    assert_eq!(page["totalCount"], 6);
    assert_eq!(page["pageInfo"]["hasNextPage"], true);
    let after = json!({"after": page["pageInfo"]["endCursor"]});
    let second = client.query(query, after).await;
    let rest = &second["data"]["organization"]["repositories"];
    assert_eq!(rest["nodes"].as_array().unwrap().len(), 2);
    assert_eq!(rest["pageInfo"]["hasNextPage"], false);

    let ids = json!({"ids": [page["nodes"][0]["id"], "R_kgDOAAAAAA"]});
    let nodes = client
        .query(
            "query($ids: [ID!]!) { nodes(ids: $ids) { ... on Repository { name } } }",
            ids,
        )
        .await;
    assert_eq!(nodes["data"]["nodes"], json!([{"name": "tenants"}, null]));
    assert_eq!(nodes["errors"][0]["path"], json!(["nodes", 1]));
}

#[tokio::test]
async fn what_nobody_knows_is_refused_loudly() {
    let world = World::new().await;
    let client = world.everything().await;
    let wrong = client
        .query("{ viewer { login shoeSize } }", Value::Null)
        .await;
    assert_eq!(
        wrong["errors"][0]["message"],
        "Field 'shoeSize' doesn't exist on type 'User'"
    );
    assert!(wrong.get("data").is_none());
    let route = client.get("/repos/acme/tenants/weather").await;
    assert_eq!(route.status, 501);
    assert_eq!(
        world.github.unknown_requests(),
        [
            "the GraphQL field `User.shoeSize`",
            "GET /repos/acme/tenants/weather"
        ]
    );
    let silent = wire::send("GET", &format!("{}/meta", world.github.url()), &[], &[])
        .await
        .unwrap();
    assert_eq!(silent.status, 403, "a User-Agent is required");
}

#[tokio::test]
async fn a_fault_happens_once_before_or_after_the_deed() {
    let world = World::new().await;
    world.github.repository("acme/work", &[("a", "a")]);
    let client = world.everything().await;
    let path = "/orgs/acme/teams/ai-team/repos/acme/work";
    let granted = || world.github.team_permission("acme/work", "ai-team");
    let wish = json!({"permission": "push"});
    let fault = || Fault::on("PUT", "/orgs/*/teams/*/repos/*/*");

    world.github.fault(fault().respond(502));
    assert_eq!(client.ask("PUT", path, wish.clone()).await.status, 502);
    assert_eq!(granted(), None);

    world.github.fault(fault().secondary_limit(7));
    let limited = client.ask("PUT", path, wish.clone()).await;
    assert_eq!(
        (limited.status, limited.headers["retry-after"].as_str()),
        (403, "7")
    );

    world.github.fault(fault().hang_up().after_doing_it());
    let cut = client.ask_for("PUT", path, wish.clone(), "*/*").await;
    assert!(cut.is_err());
    assert_eq!(granted(), Some(Permission::Push));

    world.github.fault(fault().revoke_token());
    assert_eq!(client.ask("PUT", path, wish.clone()).await.status, 401);
    assert_eq!(client.ask("PUT", path, wish).await.status, 401);
    assert_eq!(world.github.waiting_faults(), 0);
}

#[tokio::test]
async fn an_outage_lasts_and_ends() {
    let world = World::new().await;
    let client = world.everything().await;
    let outage = Fault::on("*", "/**").respond(502);
    let length = Duration::from_millis(200);
    world.github.fault(outage.lasting(length));
    for path in ["/repos/acme/tenants", "/orgs/acme"] {
        assert_eq!(client.get(path).await.status, 502);
    }
    assert_eq!(world.github.waiting_faults(), 1);
    tokio::time::sleep(length).await;
    assert_eq!(client.get("/repos/acme/tenants").await.status, 200);
    assert_eq!(world.github.waiting_faults(), 0);
}

#[tokio::test]
async fn an_archived_repository_is_read_only() {
    let world = World::new().await;
    let client = world.everything().await;
    let archive = json!({"archived": true});
    client
        .ask("PATCH", "/repos/acme/tenants", archive.clone())
        .await;
    let team = "/orgs/acme/teams/ai-team/repos/acme/tenants";
    let refused = client.ask("PUT", team, json!({})).await;
    assert_eq!(refused.status, 403);
    assert!(
        refused.body["message"]
            .as_str()
            .unwrap()
            .contains("archived")
    );
    let wish = json!({"description": "x"});
    assert_eq!(
        client
            .ask("PATCH", "/repos/acme/tenants", wish)
            .await
            .status,
        403
    );
}

#[tokio::test]
async fn a_renamed_repository_is_found_by_its_old_name() {
    let world = World::new().await;
    let client = world.everything().await;
    world.github.rename_repository("acme/tenants", "renters");
    let moved = client.get("/repos/acme/tenants/branches/main").await;
    assert_eq!(moved.status, 301);
    let there = client.get(&moved.headers["location"]).await;
    assert_eq!(there.body["name"], "main");
}

/// What a receiver of webhooks got: headers and raw body.
type Received = mpsc::UnboundedReceiver<(HeaderMap, Vec<u8>)>;

async fn receiver() -> (String, Received) {
    let (sender, received) = mpsc::unbounded_channel();
    let router = axum::Router::new()
        .fallback(
            |State(sender): State<mpsc::UnboundedSender<(HeaderMap, Vec<u8>)>>,
             headers: HeaderMap,
             body: axum::body::Bytes| async move {
                sender.send((headers, body.to_vec())).unwrap();
                axum::http::StatusCode::ACCEPTED
            },
        )
        .with_state(sender);
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/webhook", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, router).await });
    (url, received)
}

#[tokio::test]
async fn webhooks_are_signed_and_in_order() {
    let world = World::new().await;
    let (url, mut received) = receiver().await;
    world.github.set_webhook_url(&world.app, &url);
    let alice = world.github.as_user("alice");
    alice.commit("acme/tenants", "b", "b", &[("b", Some("b"))]);
    let number = alice.open_pull("acme/tenants", "main", "b", "b", "");
    alice.merge("acme/tenants", number, MergeMethod::Merge);
    world.github.wait_for_deliveries().await;

    let mut events = Vec::new();
    while let Ok((headers, body)) = received.try_recv() {
        let key = hmac::Key::new(hmac::HMAC_SHA256, world.app.webhook_secret.as_bytes());
        let signature = headers["x-hub-signature-256"].to_str().unwrap();
        let signature = hex::decode(signature.strip_prefix("sha256=").unwrap()).unwrap();
        hmac::verify(&key, &body, &signature).unwrap();
        let payload: Value = serde_json::from_slice(&body).unwrap();
        assert_eq!(payload["installation"]["id"], world.installation);
        assert_eq!(payload["sender"]["login"], "alice");
        let event = headers["x-github-event"].to_str().unwrap();
        events.push(match payload["action"].as_str() {
            Some(action) => format!("{event} {action}"),
            None => format!("{event} {}", payload["ref"].as_str().unwrap()),
        });
    }
    assert_eq!(
        events,
        [
            "push refs/heads/b",
            "check_suite requested",
            "pull_request opened",
            "push refs/heads/main",
            "check_suite requested",
            "pull_request closed",
        ]
    );
    let outcomes = world.github.deliveries();
    assert!(
        outcomes
            .iter()
            .all(|one| one.outcome == Outcome::Answered(202))
    );
}

#[tokio::test]
async fn held_webhooks_can_be_lost_doubled_and_reordered() {
    let world = World::new().await;
    let (url, mut received) = receiver().await;
    world.github.set_webhook_url(&world.app, &url);
    world.github.hold_webhooks();
    let alice = world.github.as_user("alice");
    for branch in ["one", "two", "three"] {
        alice.commit("acme/tenants", branch, branch, &[(branch, Some("x"))]);
    }
    let pushes: Vec<Id> = world
        .github
        .held()
        .into_iter()
        .filter(|one| one.event == "push")
        .map(|one| one.id)
        .collect();
    world.github.release(&[pushes[2], pushes[0], pushes[0]]);
    world.github.wait_for_deliveries().await;
    let mut references = Vec::new();
    while let Ok((_, body)) = received.try_recv() {
        let payload: Value = serde_json::from_slice(&body).unwrap();
        references.push(payload["ref"].as_str().unwrap().to_owned());
    }
    assert_eq!(
        references,
        ["refs/heads/three", "refs/heads/one", "refs/heads/one"]
    );
}

#[tokio::test]
async fn a_late_answer_is_right_and_does_its_work_once() {
    let world = World::new().await;
    let alice = world.github.as_user("alice");
    alice.commit("acme/tenants", "b", "b", &[("b", Some("b"))]);
    let number = alice.open_pull("acme/tenants", "main", "b", "b", "");
    let path = format!("/repos/acme/tenants/issues/{number}/comments");
    let client = world.everything().await;
    let late = || Fault::on("POST", "/repos/**").delay(Duration::from_millis(5));
    for fault in [late(), late().after_doing_it()] {
        world.github.fault(fault);
        let made = client.ask("POST", &path, json!({"body": "plan"})).await;
        assert_eq!(made.status, 201);
    }
    assert_eq!(world.github.comments("acme/tenants", number).len(), 2);
}

#[tokio::test]
async fn the_hourly_budget_runs_out() {
    let world = World::new().await;
    let client = world.everything().await;
    world.github.set_rate_limits(2, 1);
    for left in ["1", "0"] {
        let answer = client.get("/repos/acme/tenants").await;
        assert_eq!(answer.headers["x-ratelimit-remaining"], left);
    }
    assert_eq!(client.get("/repos/acme/tenants").await.status, 403);
    let query = "{ rateLimit { remaining } }";
    let answer = client.query(query, Value::Null).await;
    assert_eq!(answer["data"]["rateLimit"]["remaining"], 0);
    let limited = client.query(query, Value::Null).await;
    assert_eq!(limited["errors"][0]["type"], "RATE_LIMITED");
}

#[tokio::test]
async fn what_has_not_changed_costs_nothing_of_the_budget() {
    let world = World::new().await;
    let client = world.everything().await;
    let first = client.get("/repos/acme/tenants").await;
    let url = format!("{}/repos/acme/tenants", world.github.url());
    let headers = [
        ("authorization", client.authorization.clone()),
        ("user-agent", "tests".to_owned()),
        ("if-none-match", first.headers["etag"].clone()),
    ];
    let again = wire::send("GET", &url, &headers, &[]).await.unwrap();
    assert_eq!(again.status, 304);
    let remaining = "x-ratelimit-remaining";
    assert_eq!(again.headers[remaining], first.headers[remaining]);
}

#[tokio::test]
async fn the_hourly_budget_comes_back() {
    let world = World::new().await;
    world.github.set_rate_limits(1, 1);
    world.github.set_rate_window(Duration::from_millis(300));
    let client = world.everything().await;
    for _ in 0..2 {
        assert_eq!(client.get("/repos/acme/tenants").await.status, 200);
        assert_eq!(client.get("/repos/acme/tenants").await.status, 403);
        tokio::time::sleep(Duration::from_millis(300)).await;
    }
    let limited = world.github.limited_requests();
    assert_eq!(limited.len(), 2, "{limited:#?}");
}

#[tokio::test]
async fn too_much_content_is_refused_for_a_while() {
    let world = World::new().await;
    let client = world.everything().await;
    let limits = [
        (2, Duration::from_millis(1200)),
        (50, Duration::from_hours(1)),
    ];
    world.github.set_content_limits(&limits);
    let create = |name: &'static str| {
        let client = &client;
        async move {
            client
                .ask("POST", "/orgs/acme/repos", json!({"name": name}))
                .await
        }
    };
    assert_eq!(create("one").await.status, 201);
    assert_eq!(create("two").await.status, 201);
    let refused = create("three").await;
    assert_eq!(
        (refused.status, refused.headers["retry-after"].as_str()),
        (403, "2")
    );
    assert!(!world.github.exists("acme/three"));
    let change = json!({"description": "ours"});
    assert_eq!(
        client.ask("PATCH", "/repos/acme/one", change).await.status,
        200
    );
    assert_eq!(client.get("/repos/acme/one").await.status, 200);
    tokio::time::sleep(Duration::from_millis(1200)).await;
    assert_eq!(create("three").await.status, 201);
    let limited = world.github.limited_requests();
    assert_eq!(limited.len(), 1, "{limited:#?}");
    assert_eq!(limited[0].body["name"], "three");
}

#[tokio::test]
async fn a_query_that_reaches_too_far_takes_too_long() {
    let world = World::new().await;
    let client = world.everything().await;
    world.github.set_most_nodes(50);
    let query = "query($first: Int!) { organization(login: \"acme\") { repositories(first: $first) { nodes { name } } } }";
    for (first, status) in [(50, 200), (51, 502)] {
        let body = json!({"query": query, "variables": {"first": first}});
        assert_eq!(client.ask("POST", "/graphql", body).await.status, status);
    }
}

#[tokio::test]
async fn a_merge_group_has_a_head_of_its_own() {
    let world = World::new().await;
    let (url, mut received) = receiver().await;
    world.github.set_webhook_url(&world.app, &url);
    let alice = world.github.as_user("alice");
    let edit = [("tenants.yaml", Some("- name: two\n"))];
    alice.commit("acme/tenants", "b", "b", &edit);
    let number = alice.open_pull("acme/tenants", "main", "b", "b", "");
    let head = alice.queue("acme/tenants", number);
    world.github.wait_for_deliveries().await;
    let mut groups = Vec::new();
    while let Ok((headers, body)) = received.try_recv() {
        if headers["x-github-event"] == "merge_group" {
            groups.push(serde_json::from_slice::<Value>(&body).unwrap());
        }
    }
    assert_eq!(groups.len(), 1);
    assert_eq!(groups[0]["merge_group"]["head_sha"], head.as_str());
    let base = world.github.head("acme/tenants", "main").unwrap();
    let branch = format!("gh-readonly-queue/main/pr-{number}-{base}");
    let text = world.github.file("acme/tenants", &branch, "tenants.yaml");
    assert_eq!(text.as_deref(), Some("- name: two\n"));
}
