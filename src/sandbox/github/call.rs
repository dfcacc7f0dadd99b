//! One request on its way to a route: what was asked, by whom, and help to answer it.

#![expect(
    clippy::unnecessary_wraps,
    reason = "the last word of a route, so of its type"
)]

use serde_json::{Value, json};

use super::answer::{Answer, Refusal, Reply};
use super::auth::Caller;
use super::model::{Id, World};

/// What a list shows where nobody said how much.
const USUAL_PAGE: usize = 30;

/// The most that a page shows, whatever was asked.
const LARGEST_PAGE: usize = 100;

pub(super) struct Call<'a> {
    pub(super) world: &'a mut World,
    pub(super) caller: &'a Caller,
    pub(super) parameters: Vec<(&'static str, String)>,
    pub(super) query: Vec<(String, String)>,
    pub(super) body: Value,
    pub(super) accept: String,
    /// The path with names, not ids, and without the query.
    pub(super) path: String,
    /// What a GraphQL query cost.
    pub(super) points: u32,
    /// What the request wanted that the sandbox does not know.
    pub(super) unknown: Vec<String>,
}

impl Call<'_> {
    /// A part of the path by its name in the route.
    pub(super) fn parameter(&self, name: &str) -> &str {
        self.parameters
            .iter()
            .find(|(key, _)| *key == name)
            .map_or("", |(_, value)| value)
    }

    /// A number in the path; anything else is nowhere.
    pub(super) fn number(&self, name: &str) -> Result<u64, Refusal> {
        self.parameter(name)
            .parse()
            .map_err(|_| Refusal::not_found())
    }

    pub(super) fn query(&self, name: &str) -> Option<&str> {
        self.query
            .iter()
            .find(|(key, _)| key == name)
            .map(|(_, value)| value.as_str())
    }

    /// A string of the body.
    pub(super) fn text(&self, name: &str) -> Option<&str> {
        self.body[name].as_str()
    }

    pub(super) fn flag(&self, name: &str) -> Option<bool> {
        self.body[name].as_bool()
    }

    pub(super) fn repository(&self) -> Id {
        let full_name = format!("{}/{}", self.parameter("owner"), self.parameter("repo"));
        self.world
            .repository_id(&full_name)
            .expect("a route with a repository is reached only if it exists")
    }

    pub(super) fn organization(&self) -> Id {
        self.world
            .account_id(self.parameter("org"))
            .expect("a route with an organisation is reached only if it exists")
    }

    pub(super) fn team(&self) -> Result<Id, Refusal> {
        self.world
            .team_id(self.organization(), self.parameter("team_slug"))
            .ok_or_else(Refusal::not_found)
    }

    pub(super) fn pull(&self) -> Result<u64, Refusal> {
        let number = self.number("number")?;
        self.world
            .pull(self.repository(), number)
            .map(|pull| pull.number)
            .ok_or_else(Refusal::not_found)
    }

    /// The account that acts; routes that write are not reached without one.
    pub(super) fn actor(&self) -> Id {
        self.caller
            .actor(self.world)
            .expect("a route that writes is not reached anonymously")
    }

    pub(super) fn may(&self, need: &str) -> bool {
        self.caller.may(self.world, self.repository(), need)
    }

    /// A page of a bare list, with `Link`.
    pub(super) fn page<T>(&self, items: &[T], show: impl Fn(&T) -> Value) -> Answer {
        self.paged(items, |shown| {
            Value::Array(shown.iter().map(&show).collect())
        })
    }

    /// A page of a list inside an object with its `total_count`.
    pub(super) fn counted_page<T>(
        &self,
        name: &str,
        items: &[T],
        show: impl Fn(&T) -> Value,
    ) -> Answer {
        self.paged(items, |shown| {
            let list: Vec<Value> = shown.iter().map(&show).collect();
            json!({"total_count": items.len(), name: list})
        })
    }

    fn paged<T>(&self, items: &[T], show: impl Fn(&[T]) -> Value) -> Answer {
        let wanted = |name: &str| self.query(name).and_then(|text| text.parse::<usize>().ok());
        let size = wanted("per_page")
            .filter(|size| *size > 0)
            .unwrap_or(USUAL_PAGE)
            .min(LARGEST_PAGE);
        let page = wanted("page").unwrap_or(1).max(1);
        let last = items.len().div_ceil(size).max(1);
        let from = ((page - 1) * size).min(items.len());
        let reply = Reply::ok(show(&items[from..(from + size).min(items.len())]));
        let mut links = Vec::new();
        if page > 1 {
            links.push(self.link(page - 1, "prev"));
        }
        if page < last {
            links.push(self.link(page + 1, "next"));
            links.push(self.link(last, "last"));
        }
        if page > 1 {
            links.push(self.link(1, "first"));
        }
        if links.is_empty() {
            return Ok(reply);
        }
        Ok(reply.with_header("link", links.join(", ")))
    }

    fn link(&self, page: usize, relation: &str) -> String {
        let mut query: Vec<String> = self
            .query
            .iter()
            .filter(|(key, _)| key != "page")
            .map(|(key, value)| format!("{key}={}", encoded(value)))
            .collect();
        query.push(format!("page={page}"));
        format!(
            "<{}{}?{}>; rel=\"{relation}\"",
            self.world.root,
            self.numbered_path(),
            query.join("&")
        )
    }

    /// GitHub's links name repositories and organisations by id.
    fn numbered_path(&self) -> String {
        let parts: Vec<&str> = self.path.split('/').collect();
        match parts.as_slice() {
            ["", "repos", _, _, rest @ ..] => {
                format!("/repositories/{}/{}", self.repository(), rest.join("/"))
            }
            ["", "orgs", _, rest @ ..] => {
                format!("/organizations/{}/{}", self.organization(), rest.join("/"))
            }
            _ => self.path.clone(),
        }
    }
}

/// As a part of a URL; slashes stay.
pub(super) fn encoded(text: &str) -> String {
    text.bytes()
        .map(|byte| match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' | b'/' => {
                char::from(byte).to_string()
            }
            _ => format!("%{byte:02X}"),
        })
        .collect()
}

/// A part of a path with its `%XX` read.
pub(super) fn decoded(text: &str) -> String {
    let mut bytes = Vec::new();
    let mut rest = text.as_bytes();
    while let [first, tail @ ..] = rest {
        let escaped = (*first == b'%')
            .then(|| hex::decode(tail.get(..2)?).ok())
            .flatten();
        if let Some(byte) = escaped {
            bytes.extend(byte);
            rest = &tail[2..];
        } else {
            bytes.push(*first);
            rest = tail;
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}
