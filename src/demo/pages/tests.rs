//! The pages through their own front door: forms sent, pages read.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::http::Uri;
use axum::response::{IntoResponse as _, Response};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use secrecy::SecretString;
use serde_json::{Value, json};

use super::{Sources, Tricks, router};
use crate::sandbox::GitHub;
use crate::sandbox::github::{Fault, Membership, RepositorySelection};

const FILE: &str = "tenants:\n- name: one\n  githubTeams: [{name: ai-team}]\n";

/// The pages of an organisation whose App answers to nobody, and of a cluster with one Secret.
struct World {
    github: Arc<GitHub>,
    address: SocketAddr,
}

struct Answer {
    status: u16,
    head: String,
    body: String,
}

impl Answer {
    fn location(&self) -> &str {
        let line = self
            .head
            .lines()
            .find_map(|line| line.strip_prefix("location: "));
        line.expect("the answer leads somewhere")
    }
}

async fn serve(router: Router) -> SocketAddr {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move { axum::serve(listener, router).await });
    address
}

/// A cluster that knows namespaces and one Secret.
async fn cluster(uri: Uri) -> Response {
    let namespace = json!({"metadata": {"name": "tenant-one", "labels": {"app.kubernetes.io/managed-by": "tenantry", "app.kubernetes.io/instance": "one"}}});
    let secret = json!({
        "metadata": {"name": "git-auth", "namespace": "tenant-one"},
        "data": {"identity": "dG9wIHNlY3JldA=="},
    });
    match uri.path() {
        "/api/v1/namespaces" => json(&json!({"items": [namespace], "metadata": {}})),
        "/api/v1/secrets" => json(&json!({"items": [secret], "metadata": {}})),
        "/api/v1/namespaces/tenant%2Done/secrets/git%2Dauth" => json(&secret),
        path => {
            let status = json!({
                "kind": "Status", "apiVersion": "v1", "status": "Failure", "code": 404,
                "reason": "NotFound", "message": format!("there is no {path}"),
            });
            (axum::http::StatusCode::NOT_FOUND, json(&status)).into_response()
        }
    }
}

fn json(value: &Value) -> Response {
    axum::Json(value).into_response()
}

impl World {
    async fn new() -> Self {
        let cluster = serve(Router::new().fallback(cluster)).await;
        Self::with_cluster(cluster).await
    }

    async fn with_cluster(cluster: SocketAddr) -> Self {
        let github = GitHub::start().await;
        github
            .user("you")
            .organization("acme")
            .member("acme", "you", Membership::Owner)
            .team("acme", "ai-team", &["you"])
            .repository("acme/tenants", &[("tenants.yaml", FILE)])
            .repository("acme/one-workspace", &[])
            .protect("acme/tenants", "main", &["tenantry/plan"]);
        github.set_merge_delay(Duration::from_millis(1));
        let permissions = [
            ("contents", "write"),
            ("pull_requests", "write"),
            ("checks", "write"),
        ];
        let nobody = "http://127.0.0.1:9/";
        let app = github.register_app("tenantry", &permissions, &["push", "pull_request"], nobody);
        github.install(&app, "acme", RepositorySelection::All);
        let github = Arc::new(github);
        let config = kube::Config::new(format!("http://{cluster}").parse().unwrap());
        let sources = Sources {
            github_url: github.url().to_owned(),
            token: SecretString::from(github.personal_token("you")),
            cluster: kube::Client::try_from(config).unwrap(),
            control_repo: "acme/tenants".to_owned(),
            tenants_file: "tenants.yaml".to_owned(),
            app,
        };
        let address = serve(router(sources, Tricks::new(Arc::clone(&github)))).await;
        Self { github, address }
    }

    fn send(&self, request: &str) -> TcpStream {
        let mut stream = TcpStream::connect(self.address).unwrap();
        stream.write_all(request.as_bytes()).unwrap();
        stream
    }

    fn ask(&self, method: &str, path: &str, headers: &str, body: &str) -> Answer {
        let mut stream = self.send(&format!(
            "{method} {path} HTTP/1.1\r\nconnection: close\r\n{headers}content-type: application/x-www-form-urlencoded\r\ncontent-length: {}\r\n\r\n{body}",
            body.len()
        ));
        let mut text = String::new();
        stream.read_to_string(&mut text).unwrap();
        let (head, body) = text.split_once("\r\n\r\n").unwrap();
        Answer {
            status: head.split(' ').nth(1).unwrap().parse().unwrap(),
            head: head.to_owned(),
            body: body.to_owned(),
        }
    }

    fn get(&self, path: &str) -> Answer {
        let host = format!("host: {}\r\n", self.address);
        self.ask("GET", path, &host, "")
    }

    fn post(&self, path: &str, fields: &[(&str, &str)]) -> Answer {
        let encoded = |text: &str| utf8_percent_encode(text, NON_ALPHANUMERIC).to_string();
        let fields = fields.iter();
        let fields: Vec<String> = fields
            .map(|(name, value)| format!("{}={}", encoded(name), encoded(value)))
            .collect();
        let headers = format!("host: {0}\r\norigin: http://{0}\r\n", self.address);
        self.ask("POST", path, &headers, &fields.join("&"))
    }

    /// The file's blob, as the editor carries it.
    fn blob(&self) -> String {
        let editor = self.get("/edit").body;
        let (_, rest) = editor.split_once("name=\"blob\" value=\"").unwrap();
        rest.split('"').next().unwrap().to_owned()
    }

    fn propose(&self, title: &str, text: &str) -> Answer {
        let blob = self.blob();
        self.post(
            "/edit",
            &[("title", title), ("text", text), ("blob", &blob)],
        )
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_pages_answer_to_their_own_address_alone() {
    let world = World::new().await;
    let own = format!("host: {}\r\n", world.address);
    let cases = [
        ("host: evil.example\r\n".to_owned(), 403),
        (format!("{own}origin: http://evil.example\r\n"), 403),
        (format!("{own}origin: null\r\n"), 403),
        (String::new(), 403),
        (own.clone(), 200),
    ];
    for (headers, status) in cases {
        assert_eq!(
            world.ask("GET", "/", &headers, "").status,
            status,
            "{headers}"
        );
    }
    let page = world.get("/");
    assert!(
        page.head
            .contains("content-security-policy: default-src 'self'")
    );
    assert!(!page.body.contains("style=") && !page.body.contains("<script>"));
    assert_eq!(world.get("/nowhere").status, 404);
    assert_eq!(world.get("/pulls/7/merge").location(), "/pulls/7");
    assert_eq!(world.get("/try/outage").location(), "/");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_change_is_proposed_and_waits_for_its_check() {
    let world = World::new().await;
    let text = FILE.replace("ai-team", "ai-taem").replace('\n', "\r\n");
    let proposed = world.propose("Add <b>two</b>", &text);
    assert_eq!(proposed.status, 303, "{}", proposed.body);
    assert_eq!(proposed.location(), "/pulls/1?told=proposed");
    let branch = world
        .github
        .file("acme/tenants", "add-b-two-b", "tenants.yaml");
    assert_eq!(branch, Some(FILE.replace("ai-team", "ai-taem")));

    let page = world.get(proposed.location()).body;
    for part in [
        "The change is proposed",
        "Add &lt;b&gt;two&lt;/b&gt;",
        "githubTeams: [{name: ai-taem}]",
        "tenantry/plan must have passed: it is expected.",
        "disabled aria-describedby=\"verdict\"",
    ] {
        assert!(page.contains(part), "{part} is missing in {page}");
    }
    let head = world.github.head("acme/tenants", "add-b-two-b").unwrap();
    let refused = world.post("/pulls/1/merge", &[("sha", &head)]);
    assert_eq!(refused.status, 405);
    let why = "Required status check &quot;tenantry/plan&quot; is expected.";
    assert!(refused.body.contains(why), "{}", refused.body);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_written_in_the_editor_is_not_lost() {
    let world = World::new().await;
    let same = world.propose("Nothing", FILE);
    assert_eq!(same.status, 409);
    assert!(same.body.contains("The text is the same as before"));

    let blob = world.blob();
    let meanwhile = [("tenants.yaml", Some("tenants: []\n"))];
    world
        .github
        .as_user("you")
        .commit("acme/tenants", "main", "Meanwhile", &meanwhile);
    let fields = [
        ("title", "Mine"),
        ("text", "tenants:\n- name: mine\n"),
        ("blob", &blob),
    ];
    let late = world.post("/edit", &fields);
    assert_eq!(late.status, 409);
    assert!(late.body.contains("Somebody has changed the file"));
    assert!(late.body.contains("- name: mine") && late.body.contains("value=\"Mine\""));
    assert_eq!(
        world.github.head("acme/tenants", "mine"),
        None,
        "no branch is left"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pull_request_is_closed_opened_again_and_gets_another_commit() {
    let world = World::new().await;
    world.propose("Two", "tenants: []\n");
    assert_eq!(world.post("/pulls/1/close", &[]).location(), "/pulls/1");
    assert!(
        world
            .get("/pulls/1")
            .body
            .contains("Closed without a merge.")
    );
    let closed = world.get("/edit?pull=1");
    assert_eq!(closed.status, 409);
    assert_eq!(world.post("/pulls/1/reopen", &[]).status, 303);
    let comment = [("body", "/tenantry plan\r\n<script>")];
    world.post("/pulls/1/comments", &comment);
    let page = world.get("/pulls/1").body;
    assert!(
        page.contains("/tenantry plan") && !page.contains("<script>"),
        "{page}"
    );

    let editor = world.get("/edit?pull=1").body;
    let (_, rest) = editor.split_once("name=\"blob\" value=\"").unwrap();
    let blob = rest.split('"').next().unwrap();
    let more = [
        ("title", "More"),
        ("text", "tenants:\n- name: three\n"),
        ("blob", blob),
        ("pull", "1"),
    ];
    assert_eq!(
        world.post("/edit", &more).location(),
        "/pulls/1?told=committed"
    );
    let page = world.get("/pulls/1").body;
    assert!(page.contains("2 commits"), "{page}");
    assert!(page.contains("- name: three"));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_outage_is_told_and_what_was_known_is_shown() {
    let world = World::new().await;
    assert_eq!(world.get("/").status, 200);
    let outage = Fault::on("*", "/**").respond(502);
    world
        .github
        .fault(outage.lasting(Duration::from_millis(300)));
    let known = world.get("/");
    assert_eq!(known.status, 200);
    assert!(
        known.body.contains("It answers 502.")
            && known
                .body
                .contains("- <span class=\"key\">name</span>: one")
    );
    let unknown = world.get("/organization");
    assert_eq!(unknown.status, 502);
    assert!(unknown.body.contains("GitHub does not answer"));
    let deed = world.post("/try/add-thirty", &[]);
    assert_eq!(deed.status, 502);
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert_eq!(world.get("/organization").status, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cluster_that_does_not_answer_is_told() {
    let gone = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = gone.local_addr().unwrap();
    drop(gone);
    let world = World::with_cluster(address).await;
    let page = world.get("/cluster");
    assert_eq!(page.status, 502);
    assert!(page.body.contains("The cluster does not answer"));
    assert_eq!(world.get("/").status, 200, "the other pages do not need it");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_object_is_shown_without_its_secret() {
    let world = World::new().await;
    let cluster = world.get("/cluster").body;
    assert!(
        cluster.contains("href=\"/cluster/secrets/tenant-one/git-auth\""),
        "{cluster}"
    );
    let object = world.get("/cluster/secrets/tenant-one/git-auth").body;
    assert!(object.contains("(10 bytes, hidden)"), "{object}");
    assert!(!object.contains("dG9wIHNlY3JldA"));
    for path in [
        "/cluster/secrets/tenant-one/other",
        "/cluster/secrets/git-auth",
        "/cluster/pods/a/b",
    ] {
        assert_eq!(world.get(path).status, 404, "{path}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn tries_propose_what_they_promise() {
    let world = World::new().await;
    let tried = |what: &str, of: &str| world.post(&format!("/try/{what}"), &[("of", of)]);
    assert_eq!(
        tried("break-team", "").location(),
        "/pulls/1?told=broken-team"
    );
    assert!(world.get("/pulls/1").body.contains("ai-taem"));
    assert_eq!(
        tried("remove-tenant", "one").location(),
        "/pulls/2?told=removed-tenant"
    );
    let text = world
        .github
        .file("acme/tenants", "remove-one", "tenants.yaml");
    assert_eq!(text.as_deref(), Some("tenants: []\n"));
    assert_eq!(tried("remove-tenant", "nobody").status, 409);
    assert_eq!(
        tried("add-thirty", "").location(),
        "/pulls/3?told=added-thirty"
    );
    let text = world
        .github
        .file("acme/tenants", "add-thirty-tenants", "tenants.yaml");
    assert_eq!(text.unwrap().matches("- name: team-").count(), 30);
    assert_eq!(tried("nothing", "").status, 404);

    assert_eq!(
        tried("take-key", "one-workspace").status,
        409,
        "there is none"
    );
    world
        .github
        .add_deploy_key("acme/one-workspace", "flux", "ssh-ed25519 AAAAx", true);
    let taken = tried("take-key", "one-workspace");
    assert_eq!(
        taken.location(),
        "/organization?told=taken-key#repository-one-workspace"
    );
    assert_eq!(world.github.deploy_keys("acme/one-workspace"), []);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_webhook_is_listed_and_sent_again() {
    let world = World::new().await;
    let tried = world.post("/try/lose-webhook", &[]);
    assert_eq!(tried.location(), "/pulls/1?told=lost-webhook");
    world.github.wait_for_deliveries().await;
    let page = world.get("/webhooks").body;
    assert_eq!(page.matches("timed out").count(), 3, "{page}");
    let lost = world
        .github
        .deliveries()
        .into_iter()
        .find(|one| one.event == "pull_request");
    let id = lost.unwrap().id;
    let sent = world.post(&format!("/webhooks/{id}/redeliver"), &[]);
    assert_eq!(sent.location(), "/webhooks?told=redelivered");
    world.github.wait_for_deliveries().await;
    assert!(world.get("/webhooks").body.contains("sent again"));
    assert!(
        world
            .get(&format!("/webhooks/{id}"))
            .body
            .contains("&quot;action&quot;: &quot;opened&quot;")
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_that_changes_is_told_of() {
    let world = World::new().await;
    let request = format!(
        "GET /live?of=%2F HTTP/1.1\r\nhost: {}\r\n\r\n",
        world.address
    );
    let stream = world.send(&request);
    stream
        .set_read_timeout(Some(Duration::from_secs(10)))
        .unwrap();
    let mut lines = BufReader::new(stream).lines();
    let mut next = || {
        let line =
            lines.find_map(|line| line.unwrap().strip_prefix("data: ").map(ToOwned::to_owned));
        line.expect("the stream goes on")
    };
    let first = next();
    assert!(
        world
            .get("/")
            .body
            .contains(&format!("data-version=\"{first}\""))
    );
    world.propose("Two", "tenants: []\n");
    let second = next();
    assert_ne!(first, second);
    assert_eq!(
        world.get("/live?of=%2Fedit").status,
        404,
        "an editor is not written over"
    );
}
