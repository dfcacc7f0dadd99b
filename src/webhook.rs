//! Where GitHub tells what happened: each delivery is proved, read and handed on within milliseconds.

mod event;
mod signature;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::State;
use axum::response::{IntoResponse as _, Response};
use axum::routing::post;
use bytes::Bytes;
use http::header::{CONTENT_TYPE, RETRY_AFTER};
use http::request::Parts;
use http::{HeaderMap, Request, StatusCode};
use secrecy::{ExposeSecret as _, SecretString};
use tokio::sync::mpsc::Sender;
use tokio::sync::mpsc::error::TrySendError;

pub use event::{Action, Delivery, Event, Paths, PullRequestChange};

/// GitHub sends no larger payload: <https://docs.github.com/webhooks/webhook-events-and-payloads>.
const LARGEST_BODY: usize = 25 * 1024 * 1024;

/// When whoever sends deliveries again may try, if there is no room for one; in seconds.
const RETRY_AFTER_SECONDS: &str = "10";

struct Receiver {
    secret: SecretString,
    deliveries: Sender<Delivery>,
}

/// `POST /webhook` and nothing else; what is believed goes into the channel, even if nobody will act on it.
pub fn router(secret: SecretString, deliveries: Sender<Delivery>) -> Router {
    let receiver = Arc::new(Receiver { secret, deliveries });
    Router::new()
        .route("/webhook", post(receive))
        .with_state(receiver)
}

async fn receive(State(receiver): State<Arc<Receiver>>, request: Request<Body>) -> Response {
    let (head, body) = request.into_parts();
    let id = header(&head.headers, "x-github-delivery")
        .unwrap_or("unknown")
        .to_owned();
    match receiver.accept(&head, body).await {
        Ok(()) => StatusCode::ACCEPTED.into_response(),
        Err(refusal) => {
            tracing::warn!(delivery = id, status = %refusal.status, reason = refusal.reason, "refused a delivery");
            refusal.into_response()
        }
    }
}

/// An answer that tells whoever looks at the App's recent deliveries what to do.
struct Refusal {
    status: StatusCode,
    reason: String,
}

impl Refusal {
    fn new(status: StatusCode, reason: impl Into<String>) -> Self {
        Self {
            status,
            reason: reason.into(),
        }
    }

    fn into_response(self) -> Response {
        let Self { status, reason } = self;
        if status == StatusCode::SERVICE_UNAVAILABLE {
            return (status, [(RETRY_AFTER, RETRY_AFTER_SECONDS)], reason).into_response();
        }
        (status, reason).into_response()
    }
}

impl Receiver {
    async fn accept(&self, head: &Parts, body: Body) -> Result<(), Refusal> {
        let body = whole(body).await?;
        self.believe(&head.headers, &body)?;
        let delivery = delivery(&head.headers, &body)?;
        self.hand_on(delivery)
    }

    fn believe(&self, headers: &HeaderMap, body: &[u8]) -> Result<(), Refusal> {
        let signature = headers.get("x-hub-signature-256");
        let secret = self.secret.expose_secret().as_bytes();
        signature::verify(secret, body, signature.map(http::HeaderValue::as_bytes))
            .map_err(|reason| Refusal::new(StatusCode::UNAUTHORIZED, reason.to_string()))
    }

    fn hand_on(&self, delivery: Delivery) -> Result<(), Refusal> {
        let reason = match self.deliveries.try_send(delivery) {
            Ok(()) => return Ok(()),
            Err(TrySendError::Full(_)) => "too much is waiting; deliver it again later",
            Err(TrySendError::Closed(_)) => "shutting down; deliver it again later",
        };
        Err(Refusal::new(StatusCode::SERVICE_UNAVAILABLE, reason))
    }
}

async fn whole(body: Body) -> Result<Bytes, Refusal> {
    to_bytes(body, LARGEST_BODY).await.map_err(|error| {
        let too_large = std::error::Error::source(&error)
            .and_then(|cause| cause.downcast_ref::<http_body_util::LengthLimitError>())
            .is_some();
        if too_large {
            let reason = format!("the body is larger than {LARGEST_BODY} bytes");
            Refusal::new(StatusCode::PAYLOAD_TOO_LARGE, reason)
        } else {
            Refusal::new(StatusCode::BAD_REQUEST, "the body did not arrive whole")
        }
    })
}

/// Reads a delivery whose signature has been checked.
fn delivery(headers: &HeaderMap, body: &[u8]) -> Result<Delivery, Refusal> {
    if header(headers, CONTENT_TYPE.as_str()).is_some_and(is_form) {
        return Err(Refusal::new(
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
            "set the content type of the App's webhook to `application/json`",
        ));
    }
    let name = required(headers, "x-github-event")?;
    let id = required(headers, "x-github-delivery")?;
    event::read(id, name, body).map_err(|error| {
        let reason = format!("the payload of `{name}` cannot be read: {error}");
        Refusal::new(StatusCode::BAD_REQUEST, reason)
    })
}

fn is_form(content_type: &str) -> bool {
    content_type
        .to_ascii_lowercase()
        .starts_with("application/x-www-form-urlencoded")
}

fn required<'a>(headers: &'a HeaderMap, name: &str) -> Result<&'a str, Refusal> {
    header(headers, name).ok_or_else(|| {
        let reason = format!("the header `{name}` is missing");
        Refusal::new(StatusCode::BAD_REQUEST, reason)
    })
}

fn header<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name)?.to_str().ok()
}
