//! Every endpoint of the embedded GitHub is asked once, by hand: those that no story uses yet are like GitHub's too.

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::net::SocketAddr;

use jiff::Timestamp;
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use serde_json::{Value, json};
use tenantry::sandbox::github::{App, GitHub, Id, Membership, RepositorySelection};

use super::{BY_HAND, Contract, openapi};
use crate::http::ask;

const PERMISSIONS: [(&str, &str); 5] = [
    ("administration", "write"),
    ("checks", "write"),
    ("contents", "write"),
    ("members", "read"),
    ("pull_requests", "write"),
];

/// What stands for the values in paths, where that is the same everywhere.
const VALUES: [(&str, &str); 8] = [
    ("owner", "acme"),
    ("repo", "tenants"),
    ("org", "acme"),
    ("team_slug", "ai-team"),
    ("username", "bob"),
    ("number", "1"),
    ("branch", "main"),
    ("ref", "main"),
];

/// Values of one path alone.
#[rustfmt::skip]
const OWN_VALUES: &[(&str, &str, &str)] = &[
    ("/users/{username}/installation", "username", "alice"),
    ("/repos/{owner}/{repo}/contents/{*path}", "path", "notes.md"),
    ("/repos/{owner}/{repo}/compare/{*range}", "range", "main...change"),
    ("/repos/{owner}/{repo}/git/ref/{*ref}", "ref", "heads/main"),
    ("/repos/{owner}/{repo}/git/matching-refs/{*ref}", "ref", "heads/"),
    ("/repos/{owner}/{repo}/git/refs/{*ref}", "ref", "heads/made"),
    ("/repos/{owner}/{repo}/git/blobs/{sha}", "sha", "{blob}"),
    ("/repos/{owner}/{repo}/rules/branches/{*branch}", "branch", "kept"),
    ("/repos/{owner}/{repo}/git/trees/{sha}", "sha", "{tree}"),
];

/// What is found in an answer and stands for a value from then on.
#[rustfmt::skip]
const FOUND: &[(&str, &str, &str, &str)] = &[
    ("POST", "/repos/{owner}/{repo}/keys", "key_id", "/id"),
    ("POST", "/repos/{owner}/{repo}/rulesets", "ruleset_id", "/id"),
    ("POST", "/repos/{owner}/{repo}/check-runs", "check_run_id", "/id"),
    ("POST", "/repos/{owner}/{repo}/check-runs", "check_suite_id", "/check_suite/id"),
    ("POST", "/repos/{owner}/{repo}/issues/{number}/comments", "comment_id", "/id"),
    ("POST", "/repos/{owner}/{repo}/git/blobs", "blob", "/sha"),
    ("POST", "/repos/{owner}/{repo}/git/trees", "tree", "/sha"),
    ("PUT", "/repos/{owner}/{repo}/contents/{*path}", "file", "/content/sha"),
];

/// What an endpoint that takes a body is sent.
#[rustfmt::skip]
const BODIES: &[(&str, &str, &str)] = &[
    ("POST", "/graphql", r#"{"query": "query Name { repository(owner: \"acme\", name: \"tenants\") { name } }"}"#),
    ("POST", "/app/installations/{installation_id}/access_tokens", r#"{"permissions": {"contents": "read"}, "repositories": ["tenants"]}"#),
    ("POST", "/orgs/{org}/repos", r#"{"name": "made", "private": true}"#),
    ("POST", "/user/repos", r#"{"name": "own"}"#),
    ("PATCH", "/repos/{owner}/{repo}", r#"{"description": "Who is there"}"#),
    ("POST", "/repos/{owner}/{repo}/generate", r#"{"owner": "acme", "name": "copy", "private": true}"#),
    ("POST", "/repos/{owner}/{repo}/forks", r#"{"name": "fork"}"#),
    ("PUT", "/repos/{owner}/{repo}/contents/{*path}", r#"{"message": "A note", "content": "aGVsbG8K"}"#),
    ("DELETE", "/repos/{owner}/{repo}/contents/{*path}", r#"{"message": "No note", "sha": "{file}"}"#),
    ("POST", "/repos/{owner}/{repo}/git/refs", r#"{"ref": "refs/heads/made", "sha": "{sha}"}"#),
    ("PATCH", "/repos/{owner}/{repo}/git/refs/{*ref}", r#"{"sha": "{sha}", "force": true}"#),
    ("POST", "/repos/{owner}/{repo}/git/commits", r#"{"message": "Made", "tree": "{tree}", "parents": ["{sha}"]}"#),
    ("POST", "/repos/{owner}/{repo}/git/trees", r#"{"tree": [{"path": "made", "mode": "100644", "type": "blob", "content": "made"}]}"#),
    ("POST", "/repos/{owner}/{repo}/git/blobs", r#"{"content": "made"}"#),
    ("POST", "/repos/{owner}/{repo}/issues/{number}/comments", r#"{"body": "A word"}"#),
    ("PATCH", "/repos/{owner}/{repo}/issues/comments/{comment_id}", r#"{"body": "Another word"}"#),
    ("POST", "/repos/{owner}/{repo}/issues/comments/{comment_id}/reactions", r#"{"content": "eyes"}"#),
    ("POST", "/repos/{owner}/{repo}/pulls", r#"{"title": "More", "head": "more", "base": "main"}"#),
    ("PATCH", "/repos/{owner}/{repo}/pulls/{number}", r#"{"title": "Changed", "body": "Why"}"#),
    ("PUT", "/repos/{owner}/{repo}/pulls/{number}/merge", r#"{"merge_method": "squash"}"#),
    ("PUT", "/repos/{owner}/{repo}/branches/{branch}/protection", r#"{"required_status_checks": {"strict": false, "contexts": []},
        "enforce_admins": null, "required_pull_request_reviews": null, "restrictions": null}"#),
    ("POST", "/repos/{owner}/{repo}/rulesets", r#"{"name": "kept", "enforcement": "active", "rules": [{"type": "deletion"}, {"type": "non_fast_forward"}],
        "bypass_actors": [{"actor_type": "OrganizationAdmin"}], "conditions": {"ref_name": {"include": ["refs/heads/kept"], "exclude": []}}}"#),
    ("POST", "/repos/{owner}/{repo}/check-runs", r#"{"name": "check", "head_sha": "{sha}", "status": "in_progress"}"#),
    ("PATCH", "/repos/{owner}/{repo}/check-runs/{check_run_id}", r#"{"conclusion": "failure", "output": {
        "title": "No", "summary": "No", "text": "No", "annotations": [
            {"path": "tenants.yaml", "start_line": 1, "end_line": 1, "annotation_level": "failure", "message": "No"}]}}"#),
    ("PUT", "/repos/{owner}/{repo}/collaborators/{username}", r#"{"permission": "push"}"#),
    ("PUT", "/orgs/{org}/teams/{team_slug}/repos/{owner}/{repo}", r#"{"permission": "push"}"#),
    ("POST", "/repos/{owner}/{repo}/keys", r#"{"title": "key", "read_only": true,
        "key": "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIOMqqnkVzrm0SdG6UOoqKLsabgH5C9okWi0dh2l9GKJl"}"#),
];

/// An organisation with something of everything, and who may ask.
pub(super) struct Tour {
    pub(super) github: GitHub,
    address: SocketAddr,
    app: App,
    installation: Id,
    values: BTreeMap<String, String>,
}

impl Tour {
    pub(super) async fn new() -> Self {
        let github = GitHub::start().await;
        github.user("alice").user("bob").organization("acme");
        github.member("acme", "alice", Membership::Owner);
        github.team("acme", "ai-team", &["bob"]);
        github.repository("acme/tenants", &[("tenants.yaml", "tenants: []\n")]);
        github.edit_repository("acme/tenants", |found| found.is_template = true);
        // Nobody listens there: what is told is listed all the same.
        let nowhere = "http://127.0.0.1:9/";
        let app = github.register_app("tenantry", &PERMISSIONS, &["push"], nowhere);
        let installation = github.install(&app, "acme", RepositorySelection::All);
        github.install(&app, "alice", RepositorySelection::All);
        let alice = github.as_user("alice");
        let files = [("tenants.yaml", Some("tenants: [{name: one}]\n"))];
        alice.commit("acme/tenants", "change", "Change", &files);
        alice.open_pull("acme/tenants", "main", "change", "Change", "");
        alice.commit("acme/tenants", "more", "More", &[("more", Some("more"))]);
        github.wait_for_deliveries().await;
        let mut values: BTreeMap<_, _> = VALUES
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect();
        let head = github.head("acme/tenants", "main").expect("a commit");
        values.insert("sha".to_owned(), head);
        values.insert("installation_id".to_owned(), installation.to_string());
        let told = github.deliveries()[0].id;
        values.insert("delivery_id".to_owned(), told.to_string());
        let mut tour = Self {
            address: github
                .url()
                .trim_start_matches("http://")
                .parse()
                .expect("an address"),
            github,
            app,
            installation,
            values,
        };
        // What asks for a check again is visited before what makes one.
        tour.visit("POST", "/repos/{owner}/{repo}/check-runs");
        tour
    }

    fn ask(&self, method: &str, path: &str, token: &str, body: &str) -> (u16, Value) {
        let authorization = format!("Bearer {token}");
        let headers = [
            ("user-agent", BY_HAND),
            ("accept", "application/vnd.github+json"),
            ("content-type", "application/json"),
            ("authorization", authorization.as_str()),
        ];
        let (status, text) = ask(self.address, method, path, &headers, body.as_bytes());
        (status, serde_json::from_str(&text).unwrap_or_default())
    }

    fn jwt(&self) -> String {
        #[expect(
            clippy::disallowed_methods,
            reason = "a JWT is told in the time of day"
        )]
        let now = Timestamp::now().as_second();
        let claims = json!({"iss": self.app.client_id, "iat": now - 60, "exp": now + 540});
        let key =
            EncodingKey::from_rsa_pem(self.app.private_key_pem.as_bytes()).expect("its own key");
        jsonwebtoken::encode(&Header::new(Algorithm::RS256), &claims, &key).expect("it can sign")
    }

    /// With everything that the App may do.
    fn token(&self) -> String {
        let path = format!("/app/installations/{}/access_tokens", self.installation);
        let (status, minted) = self.ask("POST", &path, &self.jwt(), "");
        assert_eq!(status, 201, "{minted}");
        minted["token"].as_str().expect("a token").to_owned()
    }

    /// Asks an endpoint as whoever it is for, and remembers what may be needed later.
    pub(super) fn visit(&mut self, method: &str, pattern: &str) -> (u16, Value) {
        let path = self.filled(pattern, pattern);
        let body = BODIES
            .iter()
            .find(|body| (body.0, body.1) == (method, pattern));
        let body = self.filled("", body.map_or("", |(_, _, text)| text));
        let endpoint = openapi::find(method, &path).map(|(endpoint, _)| endpoint);
        let token = match endpoint {
            Some(endpoint) if endpoint.wants_jwt() => self.jwt(),
            Some(endpoint) if !endpoint.is_for_apps() || pattern.ends_with("/forks") => {
                self.github.personal_token("alice")
            }
            _ => self.token(),
        };
        let (status, answer) = self.ask(method, &path, &token, &body);
        for (_, _, name, pointer) in FOUND
            .iter()
            .filter(|found| (found.0, found.1) == (method, pattern))
        {
            let value = answer
                .pointer(pointer)
                .unwrap_or_else(|| panic!("{pointer}: {answer}"));
            let value = value
                .as_str()
                .map_or_else(|| value.to_string(), ToOwned::to_owned);
            self.values.insert((*name).to_owned(), value);
        }
        (status, answer)
    }

    /// With a value for each name in braces.
    fn filled(&self, pattern: &str, text: &str) -> String {
        let own = OWN_VALUES.iter().filter(|own| own.0 == pattern);
        let own = own.map(|(_, name, value)| (*name, *value));
        let general = self
            .values
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_str()));
        own.chain(general)
            .fold(text.to_owned(), |text, (name, value)| {
                text.replace(&format!("{{*{name}}}"), value)
                    .replace(&format!("{{{name}}}"), value)
            })
    }
}

/// First what makes things, then what looks at them, last what takes them away: the repository after what is in it.
/// Backwards by name, because a commit is made of a tree, and a reaction is to a comment.
fn order(route: &(&'static str, &'static str)) -> (usize, Reverse<usize>, Reverse<&'static str>) {
    let (method, pattern) = *route;
    let methods = ["POST", "PUT", "PATCH", "GET", "DELETE"];
    let place = methods.iter().position(|one| *one == method);
    let depth = if method == "DELETE" {
        pattern.split('/').count()
    } else {
        0
    };
    (
        place.expect("one of the methods"),
        Reverse(depth),
        Reverse(pattern),
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn every_endpoint_of_the_embedded_github_answers_as_github_describes_it() {
    let mut tour = Tour::new().await;
    let contract = Contract::of(&tour.github);
    let mut routes: Vec<_> = GitHub::routes().collect();
    routes.sort_by_key(order);
    let mut refused = Vec::new();
    for (method, pattern) in routes {
        let (status, answer) = tour.visit(method, pattern);
        if !(200..300).contains(&status) {
            refused.push(format!(
                "{method} {pattern}: {status} {}",
                answer["message"]
            ));
        }
    }
    assert_eq!(
        refused,
        Vec::<String>::new(),
        "say above what stands for a value, or in a body"
    );
    contract.judge();
}

/// What is refused although the App may do everything: the method, the path, the body, and the status.
#[rustfmt::skip]
const REFUSALS: &[(&str, &str, &str, u16)] = &[
    ("GET", "/repos/acme/nowhere", "", 404),
    ("GET", "/repos/acme/before", "", 301),
    ("GET", "/app", "", 401),
    ("PATCH", "/repos/acme/before", r#"{"description": "It has moved"}"#, 307),
    ("PATCH", "/repos/acme/old", r#"{"description": "It is archived"}"#, 403),
    ("POST", "/repos/acme/old/issues/1/comments", r#"{"body": "It is archived"}"#, 403),
    ("POST", "/orgs/acme/repos", r#"{"name": "tenants"}"#, 422),
    ("POST", "/orgs/acme/repos", "{}", 422),
    ("POST", "/orgs/acme/repos", "{", 400),
    ("POST", "/repos/acme/empty/git/blobs", r#"{"content": "a"}"#, 409),
    ("PUT", "/repos/acme/tenants/contents/tenants.yaml", r#"{"message": "a", "content": "YQo="}"#, 422),
    ("POST", "/repos/acme/tenants/git/refs", r#"{"ref": "main", "sha": "a"}"#, 422),
    ("POST", "/repos/acme/tenants/check-runs", r#"{"name": "a"}"#, 422),
    ("POST", "/repos/acme/tenants/keys", r#"{"title": "a", "key": "a"}"#, 422),
    ("POST", "/repos/acme/tenants/pulls", r#"{"title": "a", "head": "main", "base": "main"}"#, 422),
    ("PUT", "/repos/acme/tenants/pulls/1/merge", r#"{"sha": "a"}"#, 409),
    ("GET", "/repos/acme/tenants/branches/main/protection", "", 404),
    ("POST", "/repos/acme/tenants/rulesets", r#"{"name": "", "enforcement": "active"}"#, 422),
    ("POST", "/repos/acme/tenants/rulesets", r#"{"name": "a", "enforcement": "active", "bypass_actors": [{"actor_type": "Integration", "actor_id": 1}]}"#, 422),
    ("PUT", "/orgs/acme/teams/nobody/repos/acme/tenants", r#"{"permission": "push"}"#, 404),
];

#[tokio::test(flavor = "multi_thread")]
async fn what_the_embedded_github_refuses_it_refuses_in_githubs_words() {
    let tour = Tour::new().await;
    let contract = Contract::of(&tour.github);
    tour.github.repository("acme/empty", &[]);
    tour.github.repository("acme/old", &[("a", "b")]);
    tour.github
        .edit_repository("acme/old", |found| found.archived = true);
    tour.github.repository("acme/before", &[]);
    tour.github.rename_repository("acme/before", "after");
    let token = tour.token();
    for (method, path, body, refusal) in REFUSALS {
        let (status, answer) = tour.ask(method, path, &token, body);
        assert_eq!(status, *refusal, "{method} {path} {body}: {answer}");
    }
    let mint = format!("/app/installations/{}/access_tokens", tour.installation);
    let wish = |permission: &str| format!(r#"{{"permissions": {{"{permission}": "read"}}}}"#);
    let (status, _) = tour.ask("POST", &mint, &tour.jwt(), &wish("secrets"));
    assert_eq!(status, 422, "it was never granted");
    let (_, narrow) = tour.ask("POST", &mint, &tour.jwt(), &wish("contents"));
    let narrow = narrow["token"].as_str().expect("a token");
    let key = r#"{"title": "a", "key": "a"}"#;
    assert_eq!(
        tour.ask("POST", "/repos/acme/tenants/keys", narrow, key).0,
        403
    );
    assert_eq!(
        tour.ask("GET", "/repos/acme/tenants", "ghs_nothing", "").0,
        401
    );
    contract.judge();
}
