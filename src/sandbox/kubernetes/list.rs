//! Lists, page by page.

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};

use super::call::Call;
use super::kinds::Resource;
use super::path::Place;
use super::selector::Selection;
use super::server::Answer;
use super::status::Refusal;
use super::store::Reading;
use super::table::{Header, Include, table};
use super::watch::watch;

/// Answers a list.
pub(super) fn list(
    call: &Call<'_>,
    resource: &Arc<Resource>,
    place: &Place<'_>,
) -> Result<Answer, Refusal> {
    let selection = Selection::parse(
        call.parameter("labelSelector"),
        call.parameter("fieldSelector"),
    )?;
    if call.is_set("watch") {
        return watch(call, resource, place, selection);
    }
    let limit = call
        .parameter("limit")
        .parse()
        .ok()
        .filter(|limit| *limit > 0);
    let mut reading = Reading {
        namespace: place.namespace.map(str::to_owned),
        selection,
        after: None,
        at: None,
        limit,
    };
    let token = call.parameter("continue");
    if !token.is_empty() {
        let (revision, after) = read_token(token)
            .ok_or_else(|| Refusal::bad_request("continue key is not valid: it is not ours"))?;
        reading.at = Some(revision);
        reading.after = Some(after);
    }
    let (page, revision) = {
        let state = call.hub.lock();
        let revision = reading.at.unwrap_or(state.store.revision);
        (state.store.list(resource, &reading), revision)
    };
    let page = page.map_err(|_| {
        Refusal::gone("The provided continue parameter is too old to display a consistent list result. You can start a new list without the continue parameter.")
    })?;
    let mut metadata = json!({ "resourceVersion": revision.to_string() });
    if page.remaining > 0 {
        let last = page.items.last().map(|last| last.key.to_string());
        metadata["continue"] = json!(token_of(revision, &last.unwrap_or_default()));
        // How many are left is known only where nothing has to be looked at to count them.
        if reading.selection.is_everything() {
            metadata["remainingItemCount"] = json!(page.remaining);
        }
    }
    if call.wants_table() {
        let objects: Vec<_> = page.items.iter().map(|item| item.full(resource)).collect();
        let include = Include::parse(call.parameter("includeObject"));
        let table = table(
            &resource.columns,
            &objects,
            &metadata,
            include,
            Header::Shown,
        );
        return Ok(Answer::Json(200, table));
    }
    let mut text = format!(
        "{{\"kind\":{},\"apiVersion\":{},\"metadata\":{metadata},\"items\":[",
        json!(resource.list_kind),
        json!(resource.api_version())
    );
    for (index, item) in page.items.iter().enumerate() {
        if index > 0 {
            text.push(',');
        }
        item.write_item(resource, &mut text);
    }
    text.push_str("]}");
    Ok(Answer::Text(200, "application/json", text))
}

fn token_of(revision: u64, last: &str) -> String {
    let token = json!({ "v": "meta.k8s.io/v1", "rv": revision, "start": last });
    URL_SAFE_NO_PAD.encode(token.to_string())
}

fn read_token(token: &str) -> Option<(u64, String)> {
    let bytes = URL_SAFE_NO_PAD.decode(token).ok()?;
    let token: Value = serde_json::from_slice(&bytes).ok()?;
    Some((token["rv"].as_u64()?, token["start"].as_str()?.to_owned()))
}
