//! Takes GitHub's webhooks: checks the signature, reads what happened, hands it on, and answers at once.

pub mod event;
pub mod signature;

use axum::Router;
use axum::body::Bytes;
use axum::extract::{DefaultBodyLimit, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use secrecy::SecretString;
use tokio::sync::mpsc;

pub use crate::webhook::event::{Delivery, Event, Paths, PullAction};

/// GitHub's own limit of a payload.
const LARGEST_BODY: usize = 25 * 1024 * 1024;

#[derive(Clone)]
struct Receiver {
    secret: SecretString,
    deliveries: mpsc::Sender<Delivery>,
}

/// `POST /webhook`, and nothing else.
pub fn router(secret: SecretString, deliveries: mpsc::Sender<Delivery>) -> Router {
    Router::new()
        .route("/webhook", post(receive))
        .layer(DefaultBodyLimit::max(LARGEST_BODY))
        .with_state(Receiver { secret, deliveries })
}

/// Nothing of the body is looked at before its signature is found to be right.
async fn receive(State(receiver): State<Receiver>, headers: HeaderMap, body: Bytes) -> Response {
    let header = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    if let Err(wrong) = signature::check(&receiver.secret, header("x-hub-signature-256"), &body) {
        tracing::warn!(%wrong, "a webhook was refused");
        return refuse(StatusCode::UNAUTHORIZED, &wrong.to_string());
    }
    if header("content-type").is_some_and(|kind| !kind.starts_with("application/json")) {
        let text = "set the content type of the App's webhook to `application/json`";
        return refuse(StatusCode::UNSUPPORTED_MEDIA_TYPE, text);
    }
    let (Some(name), Some(id)) = (header("x-github-event"), header("x-github-delivery")) else {
        let text = "the headers `X-GitHub-Event` and `X-GitHub-Delivery` are missing: this is not from GitHub";
        return refuse(StatusCode::BAD_REQUEST, text);
    };
    let delivery = match event::read(id, name, &body) {
        Ok(delivery) => delivery,
        Err(error) => {
            tracing::warn!(delivery = id, event = name, %error, "a webhook could not be read");
            return refuse(
                StatusCode::BAD_REQUEST,
                &format!("the payload of `{name}` could not be read: {error}"),
            );
        }
    };
    match receiver.deliveries.try_send(delivery) {
        Ok(()) => StatusCode::ACCEPTED.into_response(),
        Err(_) => {
            tracing::error!(
                delivery = id,
                "too much is waiting, or the app is stopping: a webhook was turned away"
            );
            refuse(
                StatusCode::SERVICE_UNAVAILABLE,
                "busy or stopping; redeliver this later",
            )
        }
    }
}

fn refuse(status: StatusCode, text: &str) -> Response {
    (status, format!("{text}\n")).into_response()
}

#[cfg(test)]
mod tests;
