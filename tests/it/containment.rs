//! A tenant cannot leave its room: those who live in it log in and try.
//!
//! Everybody comes with a bearer token of their own, as in life: a ServiceAccount's from the API server's token
//! endpoint, a person's from the server's token file, which says the groups where elsewhere an identity provider does.

use std::collections::{BTreeMap, BTreeSet};

use http::Request;
use kube::config::{KubeConfigOptions, Kubeconfig};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::admission::{Asked, Policies, User};
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

/// What a tenant is made of in the cluster.
const KINDS: [(&str, &str); 10] = [
    ("tenants.tenantry.dev", "Tenant"),
    ("namespaces", "Namespace"),
    ("limitranges", "LimitRange"),
    ("resourcequotas", "ResourceQuota"),
    ("networkpolicies.networking.k8s.io", "NetworkPolicy"),
    ("serviceaccounts", "ServiceAccount"),
    ("rolebindings.rbac.authorization.k8s.io", "RoleBinding"),
    ("secrets", "Secret"),
    ("gitrepositories.source.toolkit.fluxcd.io", "GitRepository"),
    (
        "kustomizations.kustomize.toolkit.fluxcd.io",
        "Kustomization",
    ),
];

/// The rows of `containment.yaml`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Tries {
    refused: Vec<Row>,
    escalations: Vec<Row>,
    allowed: Vec<Row>,
    admission: Vec<Row>,
}

/// Who does what, by which request.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Row {
    who: String,
    does: String,
    send: String,
    body: Option<Value>,
    /// The administrator's answer, if it is not that it is done.
    #[serde(rename = "else")]
    otherwise: Option<u16>,
}

fn tries() -> Tries {
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
    for who in ["reconciler", "team"] {
        let of = |rows: &[Row]| rows.iter().filter(|row| row.login() == who).count();
        assert!(of(&rows.refused) >= 20 && of(&rows.allowed) >= 10, "{who}");
    }

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
    let policies = Policies::shipped();
    for row in &rows.allowed {
        if let Some(asked) = doors.asked(row).await {
            let refusals = policies.refusals(&asked);
            wrong.extend(refusals.into_values().map(|said| row.told(403, &said)));
        }
        wrong.extend(doors.done(row, Dry::No).await);
    }
    for row in &rows.admission {
        wrong.extend(doors.done(row, Dry::Yes).await);
        let asked = doors.asked(row).await.expect("it changes something");
        let refusals = policies.refusals(&asked);
        if !refusals.keys().eq(&["tenantry-objects"]) {
            wrong.push(row.told(200, &format!("{refusals:?}")));
        }
    }
    assert_eq!(wrong, Vec::<String>::new());
    // Nothing of all this has touched what is the app's.
    world.rests().await;
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_policies_leave_the_apps_objects_to_the_app_alone() {
    let Some(world) = World::new(TENANTS).await else {
        return;
    };
    world.last_apply().await;
    let doors = Doors::open(&world).await;
    let policies = Policies::shipped();
    let mut kinds = BTreeSet::new();
    for object in doors.all_of("red%") {
        let kind = object["kind"].as_str().expect("a kind").to_owned();
        for (who, refused) in [("tenantry", false), ("team", true), ("reconciler", true)] {
            for operation in ["CREATE", "UPDATE", "DELETE"] {
                let asked = doors.about(who, operation, &object).await;
                let refusals = policies.refusals(&asked);
                assert_eq!(
                    !refusals.is_empty(),
                    refused,
                    "{who} {operation} {kind}: {refusals:?}"
                );
            }
        }
        kinds.insert(kind);
    }
    assert_eq!(
        kinds.len(),
        10,
        "every kind that a tenant is made of: {kinds:?}"
    );
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
    /// Who they are to the server.
    users: BTreeMap<&'static str, User>,
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
        let service_account = |namespace: &str, name: &str| {
            let namespace = world.text(namespace);
            let groups = [
                "system:serviceaccounts".to_owned(),
                format!("system:serviceaccounts:{namespace}"),
            ];
            User {
                username: format!("system:serviceaccount:{namespace}:{name}"),
                groups: groups.into(),
                may: Vec::new(),
            }
        };
        let member = |group: &str| User {
            username: format!("member-of-{group}"),
            groups: vec![group.to_owned()],
            may: Vec::new(),
        };
        let users = BTreeMap::from([
            ("tenantry", service_account("tenantry-system", "tenantry")),
            ("reconciler", service_account("tenant-red%", "reconciler")),
            ("flux", service_account("red%", "flux")),
            ("team", member("room-ai-team")),
            ("viewers", member("room-billing-team")),
        ]);
        Self {
            world,
            clients,
            users,
        }
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

    /// What admission is told of a row that writes: by the one who tries it, with the objects as they are in the server.
    async fn asked(&self, row: &Row) -> Option<Asked> {
        let (method, path) = row.send.split_once(' ').expect("a method and a path");
        let operation = match method {
            "POST" if row.otherwise.is_none() => "CREATE",
            "PATCH" => "UPDATE",
            "DELETE" => "DELETE",
            _ => return None,
        };
        let parts: Vec<&str> = path.split('/').collect();
        let (group, parts) = match parts.as_slice() {
            ["", "api", _, parts @ ..] => ("", parts),
            ["", "apis", group, _, parts @ ..] => (*group, parts),
            _ => panic!("{path} is a path of the API"),
        };
        let ["namespaces", namespace, plural, ..] = parts else {
            panic!("{path} is in a namespace");
        };
        let object = match operation {
            "DELETE" => Value::Null,
            _ => {
                self.answer(row.request(Dry::Yes, |text| self.world.text(text)))
                    .await
            }
        };
        let old = match operation {
            "CREATE" => Value::Null,
            _ => self.found(path).await,
        };
        Some(Asked {
            user: self.users[row.login()].clone(),
            operation,
            resource: [plural, group].join(".").trim_end_matches('.').to_owned(),
            namespace: self.found(&format!("/api/v1/namespaces/{namespace}")).await,
            object,
            old,
        })
    }

    /// Everything in the cluster that carries the app's label for a tenant.
    fn all_of(&self, tenant: &str) -> Vec<Value> {
        let kinds = KINDS.map(|(resource, _)| resource).join(",");
        let selector = format!(
            "--selector=app.kubernetes.io/instance={}",
            self.world.text(tenant)
        );
        let args = [
            "get",
            &kinds,
            "--all-namespaces",
            "--output=json",
            &selector,
        ];
        let output = self.world.cluster.kubectl(&args);
        let list: Value = serde_json::from_slice(&output.stdout).expect("kubectl prints JSON");
        list["items"].as_array().expect("a list").clone()
    }

    /// A request for this object as it is.
    async fn about(&self, who: &str, operation: &'static str, object: &Value) -> Asked {
        let (resource, _) = KINDS
            .into_iter()
            .find(|(_, kind)| object["kind"] == *kind)
            .expect("it was asked for");
        let namespace = match object["metadata"]["namespace"].as_str() {
            Some(namespace) => self.found(&format!("/api/v1/namespaces/{namespace}")).await,
            None => Value::Null,
        };
        let unless = |other: &str| {
            if operation == other {
                Value::Null
            } else {
                object.clone()
            }
        };
        Asked {
            user: self.users[who].clone(),
            operation,
            resource: resource.to_owned(),
            namespace,
            object: unless("DELETE"),
            old: unless("CREATE"),
        }
    }

    async fn found(&self, path: &str) -> Value {
        let request = Request::get(self.world.text(path)).body(Vec::new());
        self.answer(request.expect("a path is a path")).await
    }

    /// The administrator's.
    async fn answer(&self, request: Request<Vec<u8>>) -> Value {
        let answer = self.clients["administrator"].request(request).await;
        answer.expect("an administrator may do it")
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
