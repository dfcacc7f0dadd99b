//! Deliveries of an App's webhook: which there were, and the wish for another attempt.

use super::super::answer::{Answer, Refusal, Reply};
use super::super::call::Call;
use super::super::model::Id;
use super::super::view;
use super::super::webhooks::Delivery;

/// What a list shows where nobody said how much, and at most.
const USUAL_PAGE: usize = 30;
const LARGEST_PAGE: usize = 100;

fn own_app(call: &Call<'_>) -> Id {
    call.caller
        .app(call.world)
        .expect("the route is for Apps alone")
}

/// Newest first; a page begins at the delivery that `cursor` names.
pub(super) fn deliveries(call: &mut Call<'_>) -> Answer {
    let app = own_app(call);
    let wanted = |one: &Delivery| match call.query("status") {
        None => true,
        Some(status) => (status == "success") == one.succeeded(),
    };
    let all = call.world.webhooks.deliveries.iter().rev();
    let mut found = all
        .filter(|one| one.app == app && one.was_attempted() && wanted(one))
        .skip_while(|one| {
            call.query("cursor")
                .is_some_and(|cursor| format!("v1_{}", one.id) != cursor)
        });
    let size = call.query("per_page").and_then(|text| text.parse().ok());
    let size = size.unwrap_or(USUAL_PAGE).clamp(1, LARGEST_PAGE);
    let page = found.by_ref().take(size).map(view::delivery).collect();
    let reply = Reply::ok(page);
    Ok(match found.next() {
        Some(next) => {
            let link = format!(
                "<{}/app/hook/deliveries?per_page={size}&cursor=v1_{}>; rel=\"next\"",
                call.world.root, next.id
            );
            reply.with_header("link", link)
        }
        None => reply,
    })
}

fn find<'a>(call: &'a Call<'_>) -> Result<&'a Delivery, Refusal> {
    let (app, id) = (own_app(call), call.number("delivery_id")?);
    call.world
        .webhooks
        .deliveries
        .iter()
        .find(|one| one.id == id && one.app == app && one.was_attempted())
        .ok_or_else(Refusal::not_found)
}

pub(super) fn delivery(call: &mut Call<'_>) -> Answer {
    Ok(Reply::ok(view::delivery_full(find(call)?)))
}

/// Sends it again, with the same GUID.
pub(super) fn redeliver(call: &mut Call<'_>) -> Answer {
    let id = find(call)?.id;
    let fresh = call.world.fresh_id();
    call.world.webhooks.redeliver(id, fresh);
    Ok(Reply::accepted(serde_json::json!({})))
}
