//! The app on the embedded cluster, with the pretend Flux behind it: what the demo shows.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use secrecy::SecretString;
use serde_json::Value;
use tenantry::bot::{Pace, Setup};
use tenantry::github::{ContentLimits, GitHub as Client, Settings, Timing};
use tenantry::sandbox::flux::{self, Failure, Flux};
use tenantry::sandbox::github::{
    App as Registered, CheckRun, GitHub, Membership, MergeMethod, Permission, RepositorySelection,
};
use tenantry::sandbox::kubernetes::Kubernetes;
use tenantry::serve::{self, App, Parts};

use crate::support::{client, config};

const PATIENCE: Duration = Duration::from_secs(30);

const CONTROL: &str = "acme/tenants";

const AI_TEAM: &str = "
tenants:
- name: ai-team
  namespaces: [{name: ai}, {name: observability}, {name: logging}]
  githubTeams: [{name: ai-team}, {name: billing-team}]
";

/// An organisation, a cluster with the Tenant kind and Flux's, the pretend Flux, and the app.
struct Stage {
    github: GitHub,
    cluster: Kubernetes,
    flux: Flux,
    registered: Registered,
    app: Option<App>,
}

impl Stage {
    async fn new() -> Self {
        let github = GitHub::start().await;
        github.organization("acme");
        github.user("alice").user("owner");
        github.member("acme", "alice", Membership::Member);
        github.member("acme", "owner", Membership::Owner);
        for team in ["ai-team", "billing-team"] {
            github.team("acme", team, &["alice"]);
        }
        github.repository(CONTROL, &[("tenants.yaml", "tenants: []\n")]);
        github.collaborator(CONTROL, "alice", Permission::Push);
        let manifest = std::fs::read_to_string("app-manifest.yml").expect("it is at the top");
        let registered = github.register_app_from_manifest(&manifest, "");
        github.install(&registered, "acme", RepositorySelection::All);
        let cluster = Kubernetes::start().await;
        for file in [
            "deploy/crd.yaml",
            "tests/flux-crds/gitrepositories.yaml",
            "tests/flux-crds/kustomizations.yaml",
        ] {
            cluster.apply_yaml(&std::fs::read_to_string(file).expect("it is in the repository"));
        }
        let token = github.personal_token("owner");
        let config = config(&cluster.kubeconfig()).await;
        let mut settings = flux::Settings::new(config, github.url(), &token);
        settings.retry = Duration::from_millis(50);
        let flux = Flux::start(settings).expect("a client");
        let mut stage = Self {
            github,
            cluster,
            flux,
            registered,
            app: None,
        };
        stage.start().await;
        stage
    }

    async fn start(&mut self) {
        let soon = Duration::from_millis(50);
        let anywhere: SocketAddr = "127.0.0.1:0".parse().expect("an address");
        let settings = Settings {
            api_url: self.github.url().to_owned(),
            app_id: self.registered.id.to_string(),
            private_key: SecretString::from(self.registered.private_key_pem.clone()),
            limits: ContentLimits::NONE,
            timing: Timing::default(),
        };
        let setup = Setup {
            control_repos: BTreeSet::from([CONTROL.parse().expect("a name")]),
            organizations: BTreeSet::new(),
            tenants_file: "tenants.yaml".to_owned(),
            cluster: "default".to_owned(),
            git_host: "github.com".to_owned(),
            pace: Pace {
                merge_commit: Duration::from_millis(10),
                tries: [soon, soon],
                retry: 4 * soon,
                progress: soon,
                resync: Duration::from_hours(1),
            },
        };
        let parts = Parts {
            github: Client::new(&settings).expect("the App's key is sound"),
            cluster: client(&self.cluster.kubeconfig()).await,
            setup,
            webhook_secret: SecretString::from(self.registered.webhook_secret.clone()),
            listen: anywhere,
            admin_listen: anywhere,
        };
        let app = serve::start(parts).await.expect("loopback has free ports");
        let url = format!("http://{}/webhook", app.address);
        self.github.set_webhook_url(&self.registered, &url);
        self.app = Some(app);
        let tip = self.github.head(CONTROL, "main").expect("a commit");
        self.check(&tip, "tenantry/apply").await;
        self.rest().await;
    }

    async fn stop(&mut self) {
        self.app.take().expect("it runs").stop().await;
    }

    async fn rest(&self) {
        for _ in 0..3 {
            self.github.wait_for_deliveries().await;
            self.app.as_ref().expect("it runs").idle().await;
            self.flux.idle().await;
            tokio::time::sleep(Duration::from_millis(30)).await;
        }
    }

    /// The newest check of this name, once it is concluded.
    async fn check(&self, commit: &str, name: &str) -> CheckRun {
        let newest = || {
            let runs = self.github.check_runs(CONTROL, commit).into_iter();
            let newest = runs.filter(|run| run.name == name).max_by_key(|run| run.id);
            newest.filter(|run| run.conclusion.is_some())
        };
        eventually(newest, &format!("{name} is concluded")).await
    }

    /// Reason and message of an object of Flux's, once it is as Ready as that.
    async fn ready(&self, kind: &str, status: &str) -> (String, String) {
        let found = || {
            let object = self.flux_object(kind)?;
            let conditions = object["status"]["conditions"].as_array()?;
            let ready = conditions.iter().find(|one| one["type"] == "Ready")?;
            let text = |key: &str| ready[key].as_str().unwrap_or_default().to_owned();
            (ready["status"] == status).then(|| (text("reason"), text("message")))
        };
        eventually(found, &format!("{kind} is Ready={status}")).await
    }

    fn flux_object(&self, kind: &str) -> Option<Value> {
        let group = match kind {
            "GitRepository" => "source.toolkit.fluxcd.io/v1",
            _ => "kustomize.toolkit.fluxcd.io/v1",
        };
        self.cluster
            .object(group, kind, "tenant-ai-team", "workspace")
    }

    /// Opens a pull request with this file, waits for its plan, merges it, and waits until that is done.
    async fn change(&self, file: &str) {
        let alice = self.github.as_user("alice");
        let files = [("tenants.yaml", Some(file))];
        let head = alice.commit(CONTROL, "change", "Change the tenants", &files);
        let number = alice.open_pull(CONTROL, "main", "change", "Change the tenants", "");
        let plan = self.check(&head, "tenantry/plan").await;
        let merged = alice.merge(CONTROL, number, MergeMethod::Merge);
        let apply = self.check(&merged, "tenantry/apply").await;
        self.rest().await;
        assert_eq!(plan.conclusion.as_deref(), Some("success"), "{plan:#?}");
        assert_eq!(apply.conclusion.as_deref(), Some("success"), "{apply:#?}");
    }

    async fn end(mut self) {
        self.stop().await;
        self.flux.stop();
        assert_eq!(self.cluster.unknown_requests(), Vec::<String>::new());
        assert_eq!(self.github.unknown_requests(), Vec::<String>::new());
        self.cluster.stop();
        self.github.stop();
    }
}

async fn eventually<T>(mut look: impl FnMut() -> Option<T>, what: &str) -> T {
    let started = Instant::now();
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(started.elapsed() < PATIENCE, "waited until {what}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_merged_tenant_is_fetched_and_applied_and_a_second_look_writes_nothing() {
    let mut stage = Stage::new().await;
    stage.change(AI_TEAM).await;

    let (reason, message) = stage.ready("GitRepository", "True").await;
    let head = stage
        .github
        .head("acme/ai-team-workspace", "main")
        .expect("a first commit");
    assert_eq!(reason, "Succeeded");
    assert_eq!(
        message,
        format!("stored artifact for revision 'main@sha1:{head}'")
    );
    let (reason, message) = stage.ready("Kustomization", "True").await;
    assert_eq!(reason, "ReconciliationSucceeded");
    assert_eq!(message, format!("Applied revision: main@sha1:{head}"));
    let sync = stage.flux_object("Kustomization").expect("it is there");
    assert_eq!(
        sync["status"]["inventory"]["entries"][0]["id"],
        "ai_tenantry__ConfigMap"
    );
    let applied = stage.cluster.object("v1", "ConfigMap", "ai", "tenantry");
    let applied = applied.expect("what the first commit holds is applied");
    assert_eq!(applied["data"]["tenant"], "ai-team");
    assert_eq!(
        applied["metadata"]["managedFields"][0]["manager"],
        "kustomize-controller"
    );

    stage.stop().await;
    let (mark, github) = (stage.cluster.mark(), stage.github.mark());
    stage.start().await;
    let requests = stage.cluster.requests_since(mark);
    let ours = requests
        .iter()
        .filter(|request| &*request.user_agent != "pretend-flux");
    let writes: Vec<_> = ours.clone().filter(|request| request.is_write()).collect();
    assert!(ours.count() > 5, "everything was compared");
    assert_eq!(
        writes,
        Vec::<&tenantry::sandbox::kubernetes::Request>::new()
    );
    let written = stage.github.requests_since(github).into_iter();
    let written =
        written.filter(|request| request.class == tenantry::sandbox::github::Class::Write);
    assert_eq!(written.count(), 0);
    stage.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_source_is_ready_only_while_its_key_opens_the_workspace() {
    let stage = Stage::new().await;
    stage.change(AI_TEAM).await;
    stage.ready("Kustomization", "True").await;
    let workspace = "acme/ai-team-workspace";
    let (title, key, read_only) = stage.github.deploy_keys(workspace).remove(0);

    stage.github.remove_deploy_key(workspace, &title);
    stage.flux.look("tenant-ai-team", "workspace");
    let (reason, message) = stage.ready("GitRepository", "False").await;
    assert_eq!(reason, "GitOperationFailed");
    assert!(message.contains("unable to authenticate"), "{message}");
    let artifact = stage.flux_object("GitRepository").expect("it is there");
    assert!(
        artifact["status"]["artifact"].is_object(),
        "what was fetched once stays"
    );

    stage
        .github
        .add_deploy_key(workspace, &title, &key, read_only);
    stage.flux.look("tenant-ai-team", "workspace");
    stage.ready("GitRepository", "True").await;

    stage
        .flux
        .fail("tenant-ai-team", "workspace", Failure::HealthCheckFailed);
    let (reason, _) = stage.ready("Kustomization", "False").await;
    assert_eq!(reason, "HealthCheckFailed");
    stage.flux.recover("tenant-ai-team", "workspace");
    stage.ready("Kustomization", "True").await;
    stage.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_push_to_the_workspace_is_applied_once_somebody_asks() {
    let stage = Stage::new().await;
    stage.change(AI_TEAM).await;
    stage.ready("Kustomization", "True").await;
    let workspace = "acme/ai-team-workspace";
    let object = |name: &str| {
        format!(
            "apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: {name}, namespace: ai}}\ndata: {{a: b}}\n"
        )
    };
    let owner = stage.github.as_user("owner");
    let files = [("app.yaml", Some(object("app"))), ("tenantry.yaml", None)];
    let files: Vec<_> = files
        .iter()
        .map(|(path, text)| (*path, text.as_deref()))
        .collect();
    owner.commit(workspace, "main", "An application", &files);
    let asked = serde_json::json!({
        "apiVersion": "source.toolkit.fluxcd.io/v1",
        "kind": "GitRepository",
        "metadata": {
            "name": "workspace",
            "namespace": "tenant-ai-team",
            "annotations": { "reconcile.fluxcd.io/requestedAt": "now" },
        },
    });
    stage.cluster.apply_yaml(&asked.to_string());
    let found = || stage.cluster.object("v1", "ConfigMap", "ai", "app");
    eventually(found, "the new object is applied").await;
    let pruned = || {
        stage
            .cluster
            .object("v1", "ConfigMap", "ai", "tenantry")
            .is_none()
            .then_some(())
    };
    eventually(pruned, "the object that left the repository is removed").await;
    let source = stage.flux_object("GitRepository").expect("it is there");
    assert_eq!(source["status"]["lastHandledReconcileAt"], "now");

    // A manifest that cannot be applied leaves everything as it was.
    let wrong = [
        ("app.yaml", None),
        (
            "wrong.yaml",
            Some("apiVersion: v1\nkind: Nothing\nmetadata: {name: x, namespace: ai}\n"),
        ),
    ];
    owner.commit(workspace, "main", "Something wrong", &wrong);
    stage.flux.look("tenant-ai-team", "workspace");
    let (reason, message) = stage.ready("Kustomization", "False").await;
    assert_eq!(reason, "ReconciliationFailed");
    assert!(
        message.contains("no matches for kind \"Nothing\""),
        "{message}"
    );
    assert!(
        stage
            .cluster
            .object("v1", "ConfigMap", "ai", "app")
            .is_some()
    );
    stage.end().await;
}
