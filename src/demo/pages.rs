//! The demo's pages: what stands on GitHub and in the cluster, and what one may try.
//!
//! They see the world as anybody does: GitHub over its REST API with a person's token (and the App's own for its webhook
//! deliveries), the cluster over the Kubernetes API. Nothing shown is remembered here.
//!
//! ```text
//! pages.rs        routes, and the way from an address to a page
//!   place.rs        which pages there are    layout.rs  what all of them share    live.rs  tells a page of its changes
//!   control.rs edit.rs pull.rs check.rs organization.rs cluster.rs webhooks.rs    a page each
//!   tries.rs        what one may try         tenants_file.rs  the edits behind it
//!   github.rs kubernetes.rs trouble.rs       the two APIs, and what goes wrong with them
//!   markdown.rs diff.rs yaml.rs icon.rs time.rs                                   how things are shown
//! ```

use std::sync::Arc;

use axum::Router;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, Uri, header};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Redirect, Response};
use axum::routing::{get, post};
use maud::Markup;
use secrecy::SecretString;

use crate::sandbox;

mod check;
mod cluster;
mod control;
mod diff;
mod edit;
mod github;
mod icon;
mod kubernetes;
mod layout;
mod live;
mod markdown;
mod organization;
mod place;
mod pull;
mod tenants_file;
mod time;
mod tries;
mod trouble;
mod webhooks;
mod yaml;

use github::{GitHub, Look};
use kubernetes::Cluster;
use layout::Frame;
use place::{Place, Told};
use trouble::Trouble;

/// How the pages see the world: over HTTP, like anybody else.
pub struct Sources {
    /// REST root of the embedded GitHub.
    pub github_url: String,
    /// A personal token of the person who looks, an owner of the organisation.
    pub token: SecretString,
    pub cluster: kube::Client,
    /// `owner/name`.
    pub control_repo: String,
    pub tenants_file: String,
    /// GitHub shows the deliveries of a webhook to the App alone.
    pub app: sandbox::github::App,
}

/// What no API of GitHub can do.
pub struct Tricks {
    github: Arc<sandbox::GitHub>,
}

impl Tricks {
    pub fn new(github: Arc<sandbox::GitHub>) -> Self {
        Self { github }
    }
}

/// What every page is made from.
struct Site {
    github: GitHub,
    cluster: Cluster,
    /// The control repo's owner.
    organization: String,
    /// `owner/name`.
    control_repo: String,
    tenants_file: String,
    tricks: Tricks,
}

type Shared = Arc<Site>;

/// A page without its frame.
struct Page {
    title: String,
    body: Markup,
}

/// All pages. Must be called inside a Tokio runtime.
pub fn router(sources: Sources, tricks: Tricks) -> Router {
    let organization = sources.control_repo.split('/').next().unwrap_or_default();
    let site = Arc::new(Site {
        organization: organization.to_owned(),
        cluster: Cluster::new(sources.cluster),
        github: GitHub::new(&sources.github_url, sources.token, sources.app),
        control_repo: sources.control_repo,
        tenants_file: sources.tenants_file,
        tricks,
    });
    Router::new()
        .route("/edit", get(show).post(edit::propose))
        .route("/pulls/{number}/merge", post(pull::merge))
        .route("/pulls/{number}/close", post(pull::close))
        .route("/pulls/{number}/reopen", post(pull::reopen))
        .route("/pulls/{number}/comments", post(pull::comment))
        .route("/checks/{id}/rerun", post(check::rerun))
        .route("/webhooks/{id}/redeliver", post(webhooks::redeliver))
        .route("/try/{what}", post(tries::go))
        .route("/live", get(live::follow))
        .route("/style.css", get(layout::style))
        .route("/pages.js", get(layout::script))
        .route("/icon.svg", get(layout::icon_file))
        .fallback(get(show))
        .method_not_allowed_fallback(back)
        .layer(middleware::from_fn(guard))
        .with_state(site)
}

/// Any page, by its address.
async fn show(State(site): State<Shared>, uri: Uri) -> Response {
    match Place::at(&uri) {
        Some(place) => site.framed(&place, Told::in_query(uri.query())).await,
        None => Trouble::missing("There is no page at this address.").into_response(),
    }
}

/// The address of a form is no page: whoever comes there is led to the page that has it.
async fn back(uri: Uri) -> Redirect {
    let parent = uri
        .path()
        .rsplit_once('/')
        .map_or("/", |(parent, _)| parent);
    let place = parent.parse().ok().and_then(|parent| Place::at(&parent));
    Redirect::to(&place.unwrap_or(Place::Control).address())
}

impl Site {
    /// A page in its frame, with what the deed before it has to say.
    async fn framed(&self, place: &Place, told: Option<Told>) -> Response {
        let look = self.github.look();
        let page = self.page(place, &look).await;
        let frame = Frame {
            place,
            notice: told.map(Told::notice),
            stale: look.stale(),
        };
        match page {
            Ok(page) => frame.around(&page).into_response(),
            Err(trouble) => {
                let page = trouble.page();
                (trouble.status(), frame.around(&page)).into_response()
            }
        }
    }

    /// A page after a deed that was refused, which it says.
    async fn refused(&self, place: &Place, trouble: &Trouble) -> Response {
        let look = self.github.look();
        let page = self.page(place, &look).await;
        let page = page.unwrap_or_else(|trouble| trouble.page());
        let frame = Frame {
            place,
            notice: Some(trouble.notice()),
            stale: look.stale(),
        };
        (trouble.status(), frame.around(&page)).into_response()
    }

    /// Back to a page after a deed that was done.
    async fn after<T>(
        &self,
        deed: Result<T, Trouble>,
        place: &Place,
        then: impl FnOnce(T) -> String,
    ) -> Response {
        match deed {
            Ok(done) => Redirect::to(&then(done)).into_response(),
            Err(trouble) => self.refused(place, &trouble).await,
        }
    }

    async fn page(&self, place: &Place, look: &Look<'_>) -> Result<Page, Trouble> {
        match place {
            Place::Control => control::page(self, look).await,
            Place::Edit { pull } => edit::page(self, look, *pull).await,
            Place::Pull(number) => pull::page(self, look, *number).await,
            Place::Check(id) => check::page(self, look, *id).await,
            Place::Organization => organization::page(self, look).await,
            Place::Cluster => cluster::page(self).await,
            Place::Object(object) => cluster::object_page(self, object).await,
            Place::Webhooks => webhooks::page(look).await,
            Place::Delivery(id) => webhooks::delivery_page(look, *id).await,
        }
    }

    /// A path below the control repo in GitHub's API.
    fn control(&self, below: &str) -> String {
        format!("/repos/{}{below}", self.control_repo)
    }
}

/// Only this machine's own pages may ask: no other name for it, and no form on somebody else's page. And what is
/// answered may load nothing from elsewhere.
async fn guard(request: Request, next: Next) -> Response {
    if !is_ours(request.headers()) {
        let text = "These pages answer to their own address alone.\n";
        return (StatusCode::FORBIDDEN, text).into_response();
    }
    let mut response = next.run(request).await;
    let headers = response.headers_mut();
    for (name, value) in HEADERS {
        headers.insert(name, HeaderValue::from_static(value));
    }
    response
}

const HEADERS: [(header::HeaderName, &str); 4] = [
    (
        header::CONTENT_SECURITY_POLICY,
        "default-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'; object-src 'none'",
    ),
    (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (header::REFERRER_POLICY, "same-origin"),
    (header::CACHE_CONTROL, "no-store"),
];

/// Whether a request was made to a loopback name, by a page of the same.
fn is_ours(headers: &HeaderMap) -> bool {
    let text = |name| headers.get(name).and_then(|value| value.to_str().ok());
    let host = text(header::HOST).unwrap_or_default();
    let name = host.rsplit_once(':').map_or(host, |(name, _)| name);
    let origin = text(header::ORIGIN).and_then(|origin| origin.split_once("://"));
    matches!(name, "127.0.0.1" | "localhost" | "[::1]")
        && (text(header::ORIGIN).is_none() || origin.is_some_and(|(_, origin)| origin == host))
}

#[cfg(test)]
mod tests;
