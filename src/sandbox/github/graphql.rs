use super::answer::{Answer, Reply};
use super::call::Call;
use serde_json::json;
pub(super) fn answer(_: &mut Call<'_>) -> Answer {
    Ok(Reply::ok(json!({})))
}
pub(super) fn rate_limited() -> Reply {
    Reply::ok(json!({}))
}
