//! A tenant cannot leave its room: those who live in it log in and try.
//!
//! Everybody comes with a bearer token of their own, as in life: a ServiceAccount's from the API server's token
//! endpoint, a person's from the server's token file, which says the groups where elsewhere an identity provider does.

use std::collections::BTreeMap;

use http::Request;
use kube::config::{KubeConfigOptions, Kubeconfig};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::cluster::Cluster;
use crate::support::World;

const TENANTS: &str = r#"
defaults: {groupName: "room-{team}"}
tenants:
- name: red%
  githubTeams: [{name: ai-team}, {name: billing-team, role: view, namespaces: [red%]}]
  namespaces: [{name: red%, quota: {pods: "10"}, limits: {default: {memory: 256Mi}}}, {name: red-2%}]
- name: blue%
  githubTeams: [{name: payments}]
  namespaces: [{name: blue%}]
"#;

/// Flux as it is installed, as far as a tenant could want something of it.
const FLUX: &str = "
apiVersion: v1
kind: List
items:
- {apiVersion: v1, kind: Namespace, metadata: {name: flux-system}}
- {apiVersion: v1, kind: ServiceAccount, metadata: {name: kustomize-controller, namespace: flux-system}}
- apiVersion: rbac.authorization.k8s.io/v1
  kind: ClusterRoleBinding
  metadata: {name: cluster-reconciler}
  roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: cluster-admin}
  subjects: [{kind: ServiceAccount, name: kustomize-controller, namespace: flux-system}]
";

/// The rows of `containment.yaml`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Tries {
    refused: Vec<Row>,
    escalations: Vec<Row>,
    allowed: Vec<Row>,
    pub(crate) admission: Vec<Row>,
}

/// Who does what, by which request.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Row {
    pub(crate) who: String,
    does: String,
    pub(crate) send: String,
    pub(crate) body: Option<Value>,
    /// The administrator's answer, if it is not that it is done.
    #[serde(rename = "else")]
    otherwise: Option<u16>,
}

pub(crate) fn tries() -> Tries {
    serde_yaml::from_str(include_str!("containment.yaml")).expect("the rows are of this shape")
}

#[tokio::test(flavor = "multi_thread")]
async fn those_in_a_tenant_can_do_their_work_and_nothing_else() {
    let Some(mut world) = World::new(TENANTS).await else {
        return;
    };
    let apply = world.last_apply().await;
    assert_eq!(apply.conclusion.as_deref(), Some("success"), "{apply:#?}");
    furnish(&world);
    let doors = Doors::open(&world).await;
    let rows = tries();
    assert!(rows.refused.len() + rows.escalations.len() >= 20 && rows.allowed.len() >= 10);

    let mut wrong = Vec::new();
    for row in &rows.refused {
        wrong.extend(doors.refused(row, " cannot ").await);
    }
    for row in &rows.escalations {
        wrong.extend(
            doors
                .refused(
                    row,
                    "attempting to grant RBAC permissions not currently held",
                )
                .await,
        );
    }
    for row in &rows.allowed {
        wrong.extend(doors.done(row, Dry::No).await);
    }
    for row in &rows.admission {
        wrong.extend(doors.done(row, Dry::Yes).await);
    }
    assert_eq!(wrong, Vec::<String>::new());
    // Nothing of all this has touched what is the app's.
    world.rests().await;
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn no_pod_runs_beside_a_key_whoever_makes_it() {
    let Some(world) = World::new(TENANTS).await else {
        return;
    };
    world.last_apply().await;
    let doors = Doors::open(&world).await;
    let row = Row {
        who: "administrator".to_owned(),
        does: "run a pod in a control namespace".to_owned(),
        send: "POST /api/v1/namespaces/tenant-red%/pods".to_owned(),
        body: Some(pod()),
        otherwise: None,
    };
    let (status, said) = doors.send(&row, "administrator", Dry::No).await;
    assert_eq!(status, 403, "{said}");
    assert!(said.contains("exceeded quota: no-workloads"), "{said}");
    world.end().await;
}

/// Flux, and a pod in a namespace of either tenant: no kubelet runs it, but there it is.
fn furnish(world: &World) {
    world.create("", FLUX);
    for namespace in ["red%", "blue%"] {
        world.create(namespace, &pod().to_string());
    }
}

fn pod() -> Value {
    json!({
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "web"},
        "spec": {
            "automountServiceAccountToken": false,
            "containers": [{"name": "web", "image": "example.com/web:1"}],
        },
    })
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Dry {
    Yes,
    No,
}

/// A way into the cluster for each who tries.
struct Doors<'a> {
    world: &'a World,
    clients: BTreeMap<&'static str, kube::Client>,
}

impl<'a> Doors<'a> {
    async fn open(world: &'a World) -> Self {
        let cluster = world.cluster;
        let account = |namespace: &str, name: &str| {
            cluster.service_account_token(&world.text(namespace), name)
        };
        let tokens = [
            ("administrator", cluster.admin_token().to_owned()),
            ("reconciler", account("tenant-red%", "reconciler")),
            ("flux", account("red%", "flux")),
            ("team", cluster.member_token("room-ai-team").to_owned()),
            (
                "viewers",
                cluster.member_token("room-billing-team").to_owned(),
            ),
        ];
        let mut clients = BTreeMap::new();
        for (who, token) in tokens {
            clients.insert(who, client(cluster, &token).await);
        }
        Self { world, clients }
    }

    /// Nothing, or how it came otherwise: refused for this reason to whoever tries it, and done for an administrator,
    /// so that it was not refused because the request makes no sense.
    async fn refused(&self, row: &Row, because: &str) -> Option<String> {
        let (status, said) = self.send(row, row.login(), Dry::No).await;
        if status != 403 || !said.contains(because) {
            return Some(row.told(status, &said));
        }
        let (status, said) = self.send(row, "administrator", Dry::Yes).await;
        let makes_sense = row.otherwise.map_or(status < 300, |code| status == code);
        (!makes_sense).then(|| row.told(status, &format!("for the administrator: {said}")))
    }

    async fn done(&self, row: &Row, dry: Dry) -> Option<String> {
        let (status, said) = self.send(row, row.login(), dry).await;
        let expected = row.otherwise.map_or(status < 300, |code| status == code);
        (!expected).then(|| row.told(status, &said))
    }

    async fn send(&self, row: &Row, login: &str, dry: Dry) -> (u16, String) {
        let request = row.request(dry, |text| self.world.text(text));
        match self.clients[login].request::<Value>(request).await {
            Ok(value) => (200, value.to_string()),
            Err(kube::Error::Api(status)) => (status.code, status.message),
            Err(error) => (0, error.to_string()),
        }
    }
}

impl Row {
    fn login(&self) -> &str {
        self.who.split(' ').next().expect("who has a name")
    }

    fn told(&self, status: u16, said: &str) -> String {
        format!("{} would {}: {status} {said}", self.who, self.does)
    }

    fn request(&self, dry: Dry, text: impl Fn(&str) -> String) -> Request<Vec<u8>> {
        let (method, path) = self.send.split_once(' ').expect("a method and a path");
        let sign = if path.contains('?') { '&' } else { '?' };
        let dry = match dry {
            Dry::Yes if method != "GET" => format!("{sign}dryRun=All"),
            Dry::Yes | Dry::No => String::new(),
        };
        let mut request = Request::builder().method(method).uri(text(path) + &dry);
        if let Some((_, disguise)) = self.who.split_once(" as ") {
            let (user, group) = match disguise.split_once(" in ") {
                Some((user, group)) => (user, Some(group)),
                None => (disguise, None),
            };
            request = request.header("Impersonate-User", text(user));
            if let Some(group) = group {
                request = request.header("Impersonate-Group", group);
            }
        }
        let kind = if method == "PATCH" {
            "application/merge-patch+json"
        } else {
            "application/json"
        };
        let body = self.body.as_ref().map(|body| text(&body.to_string()));
        request
            .header("Content-Type", kind)
            .body(body.unwrap_or_default().into_bytes())
            .expect("a path is a path")
    }
}

async fn client(cluster: &Cluster, token: &str) -> kube::Client {
    let config = Kubeconfig::from_yaml(&cluster.kubeconfig_for(token)).expect("a kubeconfig");
    let options = KubeConfigOptions::default();
    let config = kube::Config::from_custom_kubeconfig(config, &options).await;
    kube::Client::try_from(config.expect("a cluster")).expect("a client")
}
