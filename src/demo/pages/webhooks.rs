//! What GitHub has told the App, and another try.

use axum::extract::{Path, State};
use axum::response::Response;
use http::Method;
use maud::{Markup, html};
use serde_json::Value;

use super::github::{Delivery, FullDelivery, Look};
use super::icon::{Icon, Mood, badge};
use super::place::{Place, Told};
use super::time::time;
use super::trouble::Trouble;
use super::{Page, Shared};

/// Deliveries shown.
const SHOWN: usize = 60;

pub(super) async fn page(look: &Look<'_>) -> Result<Page, Trouble> {
    let path = format!("/app/hook/deliveries?per_page={SHOWN}");
    let deliveries: Vec<Delivery> = look.get_as_app(&path).await?;
    let body = html! {
        header class="head" {
            h1 { "Webhooks" }
            p class="lead" {
                "What GitHub has told the App, newest first, signed with their secret. Every event is only a hint to look: one that is lost, doubled or late ends in the same state."
            }
        }
        section {
            h2 class="unseen" { "Deliveries" }
            @if deliveries.is_empty() { p class="empty" { "There is none yet." } }
            ul class="rows log" { @for one in &deliveries { (row(one)) } }
        }
    };
    Ok(Page {
        title: "Webhooks".to_owned(),
        body,
    })
}

fn row(delivery: &Delivery) -> Markup {
    html! {
        li id={ "delivery-" (delivery.id) } class="spread" {
            div {
                p class="name" {
                    a href=(Place::Delivery(delivery.id).address()) { (name(delivery)) }
                }
                p class="facts" {
                    (state(delivery))
                    span class="quiet" { (time(&delivery.delivered_at)) }
                    @if delivery.redelivery { span class="quiet" { "sent again" } }
                    code class="quiet" { (delivery.guid.get(..8).unwrap_or_default()) }
                }
            }
            @if !delivery.arrived() { (redeliver_button(delivery)) }
        }
    }
}

/// `pull_request opened`.
fn name(delivery: &Delivery) -> String {
    match &delivery.action {
        Some(action) => format!("{} {action}", delivery.event),
        None => delivery.event.clone(),
    }
}

fn state(delivery: &Delivery) -> Markup {
    if delivery.arrived() {
        badge(
            Mood::Good,
            Icon::Check,
            &format!("{} {}", delivery.status_code, delivery.status),
        )
    } else {
        badge(Mood::Bad, Icon::Cross, &delivery.status)
    }
}

fn redeliver_button(delivery: &Delivery) -> Markup {
    html! {
        form method="post" action={ (Place::Delivery(delivery.id).address()) "/redeliver" } {
            button class="small" { "Redeliver" span class="unseen" { " " (name(delivery)) } }
        }
    }
}

pub(super) async fn delivery_page(look: &Look<'_>, id: u64) -> Result<Page, Trouble> {
    let full: FullDelivery = look
        .get_as_app(&format!("/app/hook/deliveries/{id}"))
        .await?;
    let delivery = &full.delivery;
    let title = name(delivery);
    let answer = full.response.payload.as_str().unwrap_or_default();
    let body = html! {
        header class="head" {
            p class="above" { a href=(Place::Webhooks.address()) { "Webhooks" } }
            h1 { (title) }
            div class="facts" {
                (state(delivery))
                span class="quiet" { (time(&delivery.delivered_at)) ", " (delivery.duration) " s" }
                @if delivery.redelivery { span class="quiet" { "sent again" } }
                (redeliver_button(delivery))
            }
        }
        section {
            h2 { "Request" }
            (headers(full.request.headers.as_ref(), "Headers of the request"))
            (code(&pretty(&full.request.payload), "Payload of the request"))
        }
        section {
            h2 { "Response" }
            @match &full.response.headers {
                Some(all) => { (headers(Some(all), "Headers of the response")) @if !answer.is_empty() { (code(answer, "Body of the response")) } },
                None => p class="empty" { "Nobody answered." },
            }
        }
    };
    Ok(Page { title, body })
}

fn headers(headers: Option<&serde_json::Map<String, Value>>, label: &str) -> Markup {
    let lines: Vec<String> = headers
        .into_iter()
        .flatten()
        .map(|(name, value)| format!("{name}: {}", value.as_str().unwrap_or_default()))
        .collect();
    code(&lines.join("\n"), label)
}

fn code(text: &str, label: &str) -> Markup {
    html! { pre class="code" tabindex="0" role="group" aria-label=(label) { code { (text) } } }
}

fn pretty(payload: &Value) -> String {
    serde_json::to_string_pretty(payload).expect("JSON can be written")
}

pub(super) async fn redeliver(State(site): State<Shared>, Path(id): Path<u64>) -> Response {
    let path = format!("/app/hook/deliveries/{id}/attempts");
    let sent = site.github.change_as_app(Method::POST, &path).await;
    site.after(sent, &Place::Webhooks, |()| {
        Place::Webhooks.telling(Told::Redelivered)
    })
    .await
}
