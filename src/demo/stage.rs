//! What there is before the story begins.

use std::fs::DirBuilder;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use http::Request;
use kube::config::{Config, KubeConfigOptions, Kubeconfig};
use secrecy::SecretString;
use serde_json::Value;

use crate::bot::PLAN_CHECK;
use crate::config::{AccessArgs, GitHubArgs, ServeArgs};
use crate::kubernetes;
use crate::sandbox::flux::{self, Flux};
use crate::sandbox::github::{App as Registered, GitHub, Membership, RepositorySelection};
use crate::sandbox::kubernetes::Kubernetes;
use crate::serve::{self, App, Parts};

pub const ORGANIZATION: &str = "acme";
pub const CONTROL_REPO: &str = "acme/tenants";
pub const TENANTS_FILE: &str = "tenants.yaml";
/// The login of whoever looks at the demo: an owner of the organisation.
pub const YOU: &str = "you";
pub const TEAMS: [&str; 4] = ["ai-team", "billing-team", "payments", "storefront"];

/// What the control repo holds at first.
pub const TENANTS: &str = "\
# One entry for each tenant. Only `name` is required.
tenants:
- name: payments
  description: Card payments
  namespaces:
  - {name: payments, quota: {requests.cpu: \"12\"}}
  githubTeams: [{name: payments, permission: maintain}]
- name: storefront
  namespaces: [{name: storefront}, {name: storefront-preview}]
  githubTeams: [{name: storefront}]
";

const README: &str = "# Tenants\n\nChange `tenants.yaml` in a pull request.\n";

/// How long a merge waits for the played Flux, which takes a second.
const LIVE_DEADLINE: Duration = Duration::from_mins(1);

/// How often everything is compared, drift included; short, so that one need not wait to see it put right.
pub const RESYNC: Duration = Duration::from_secs(15);

/// The demo's own GitHub, its cluster, and the app between them.
pub struct Stage {
    pub github: Arc<GitHub>,
    pub cluster: Cluster,
    pub registered: Registered,
    app: App,
    flux: Option<Flux>,
}

/// The cluster, and how to reach it.
pub struct Cluster {
    pub client: kube::Client,
    config: Config,
    pub url: String,
    /// The file that kubectl takes.
    pub kubeconfig: PathBuf,
    embedded: Option<Embedded>,
}

struct Embedded {
    server: Kubernetes,
    _folder: Folder,
}

/// Removed when it is dropped.
struct Folder(PathBuf);

impl Stage {
    /// Starts everything and furnishes it. `kubeconfig` names a real cluster to be used instead of the embedded one.
    pub async fn set(kubeconfig: Option<&Path>) -> anyhow::Result<Self> {
        let cluster = match kubeconfig {
            Some(file) => Cluster::real(file).await?,
            None => Cluster::embedded().await?,
        };
        let github = GitHub::start().await;
        let registered = furnish(&github);
        let flux = cluster.flux(&github).await?;
        let app = start_app(&github, &registered, &cluster).await?;
        Ok(Self {
            github: Arc::new(github),
            cluster,
            registered,
            app,
            flux,
        })
    }

    pub fn app(&self) -> &App {
        &self.app
    }

    /// Whether Flux is only played here.
    pub fn plays_flux(&self) -> bool {
        self.flux.is_some()
    }

    /// Ends the app and starts another one, which knows nothing and compares everything.
    pub async fn restart_app(mut self) -> anyhow::Result<Self> {
        self.app.stop().await;
        self.app = start_app(&self.github, &self.registered, &self.cluster).await?;
        Ok(self)
    }

    /// Ends everything, the app first.
    pub async fn strike(self) {
        self.app.stop().await;
        if let Some(flux) = self.flux {
            flux.stop();
        }
        if let Some(embedded) = self.cluster.embedded {
            embedded.server.stop();
        }
    }
}

/// The organisation, its teams, the control repo, and the App installed with what its manifest asks for.
fn furnish(github: &GitHub) -> Registered {
    // Real GitHub takes a second or two until it has merged a pull request for trial.
    github.set_merge_delay(Duration::ZERO);
    github.organization(ORGANIZATION).user(YOU);
    github.organization_settings(ORGANIZATION, |settings| settings.base_permission = None);
    github.member(ORGANIZATION, YOU, Membership::Owner);
    for team in TEAMS {
        github.team(ORGANIZATION, team, &[YOU]);
    }
    github.repository(
        CONTROL_REPO,
        &[(TENANTS_FILE, TENANTS), ("README.md", README)],
    );
    github.protect(CONTROL_REPO, "main", &[PLAN_CHECK]);
    // The app says where it listens once it does.
    let registered = github.register_app_from_manifest(include_str!("../../app-manifest.yml"), "");
    github.install(&registered, ORGANIZATION, RepositorySelection::All);
    registered
}

/// `tenantry serve`, with the settings that its user would give it.
async fn start_app(
    github: &GitHub,
    registered: &Registered,
    cluster: &Cluster,
) -> anyhow::Result<App> {
    let anywhere = "127.0.0.1:0".parse().expect("an address");
    let args = ServeArgs {
        github: GitHubArgs {
            access: AccessArgs {
                github_api_url: github.url().to_owned(),
                app_id: Some(registered.id.to_string()),
                private_key: Some(SecretString::from(registered.private_key_pem.clone())),
                private_key_file: None,
                // The embedded GitHub has none, and nobody should wait here.
                content_limits: "none".parse().expect("limits"),
                cluster: "demo".to_owned(),
            },
            organizations: Vec::new(),
            tenants_file: TENANTS_FILE.to_owned(),
        },
        webhook_secret: Some(SecretString::from(registered.webhook_secret.clone())),
        webhook_secret_file: None,
        control_repos: vec![CONTROL_REPO.parse().expect("a repository's name")],
        listen: anywhere,
        admin_listen: anywhere,
        resync: RESYNC,
        live_deadline: LIVE_DEADLINE,
    };
    let writer = async { Ok(kubernetes::connect_with(cluster.config.clone())?.1) };
    let app = serve::start(Parts::of(&args, writer).await?).await?;
    github.set_webhook_url(registered, &format!("http://{}/webhook", app.address));
    Ok(app)
}

impl Cluster {
    async fn embedded() -> anyhow::Result<Self> {
        let server = Kubernetes::start().await;
        server.apply_yaml(include_str!("../../deploy/crd.yaml"));
        for kind in [
            include_str!("../../tests/flux-crds/gitrepositories.yaml"),
            include_str!("../../tests/flux-crds/kustomizations.yaml"),
        ] {
            server.apply_yaml(kind);
        }
        let folder = Folder::new()?;
        let file = folder.0.join("kubeconfig");
        std::fs::write(&file, server.kubeconfig())
            .with_context(|| format!("write {}", file.display()))?;
        let mut cluster = Self::of(&file).await?;
        cluster.embedded = Some(Embedded {
            server,
            _folder: folder,
        });
        Ok(cluster)
    }

    /// A cluster that somebody has: it must know the kinds that the app needs, and nothing is installed in it.
    async fn real(file: &Path) -> anyhow::Result<Self> {
        let cluster = Self::of(file).await?;
        let (reader, _) = kubernetes::connect_with(cluster.config.clone())?;
        let known = reader.knows_tenants().await;
        anyhow::ensure!(
            known.with_context(|| format!("read the cluster of {}", file.display()))?,
            "the cluster does not know Tenants: run `tenantry crds | kubectl apply -f -`"
        );
        Ok(cluster)
    }

    async fn of(file: &Path) -> anyhow::Result<Self> {
        let kubeconfig =
            Kubeconfig::read_from(file).with_context(|| format!("read {}", file.display()))?;
        let config = Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default())
            .await
            .with_context(|| format!("use {}", file.display()))?;
        Ok(Self {
            client: kube::Client::try_from(config.clone()).context("connect to the cluster")?,
            url: config.cluster_url.to_string(),
            config,
            kubeconfig: file.to_owned(),
            embedded: None,
        })
    }

    /// Plays Flux, unless a real one runs there.
    async fn flux(&self, github: &GitHub) -> anyhow::Result<Option<Flux>> {
        if self.has_flux().await? {
            return Ok(None);
        }
        let token = github.personal_token(YOU);
        let settings = flux::Settings::new(self.config.clone(), github.url(), &token);
        let flux = Flux::start(settings).context("start Flux")?;
        // A real cluster would try to run them.
        let pods = u32::from(self.is_embedded());
        flux.install(pods).await.context("install Flux")?;
        Ok(Some(flux))
    }

    /// Whether controllers of Flux run there; those that are scaled to no Pods are of an earlier demo.
    async fn has_flux(&self) -> anyhow::Result<bool> {
        let path = "/apis/apps/v1/namespaces/flux-system/deployments?labelSelector=app.kubernetes.io%2Fpart-of%3Dflux";
        let request = Request::get(path)
            .body(Vec::new())
            .expect("a path of ours is a URI");
        let list: Value = self
            .client
            .request(request)
            .await
            .context("look for Flux")?;
        let mut deployments = list["items"].as_array().into_iter().flatten();
        Ok(deployments.any(|deployment| deployment["spec"]["replicas"] != 0))
    }

    pub fn is_embedded(&self) -> bool {
        self.embedded.is_some()
    }
}

impl Folder {
    /// A folder of our own, that nobody else can have prepared.
    fn new() -> anyhow::Result<Self> {
        let mut random = [0; 8];
        getrandom::fill(&mut random).context("get random bytes")?;
        let path = std::env::temp_dir().join(format!("tenantry-demo-{}", hex::encode(random)));
        let made = DirBuilder::new().mode(0o700).create(&path);
        made.with_context(|| format!("make the folder {}", path.display()))?;
        Ok(Self(path))
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        // What stays in a temporary folder harms nobody.
        let _ = std::fs::remove_dir_all(&self.0);
    }
}
