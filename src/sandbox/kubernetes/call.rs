//! One request: from its path and query to what is done.

use std::sync::Arc;

use serde_json::{Value, json};

use super::clock;
use super::discovery;
use super::kinds::Resource;
use super::path::{self, Path, Place};
use super::server::{Answer, Hub, success};
use super::status::Refusal;
use super::table::{Header, Include, table};
use super::verbs::{self, Deletion, Done, Order, Patch, Propagation};

/// A request, taken apart.
pub(super) struct Call<'a> {
    pub(super) hub: &'a Arc<Hub>,
    pub(super) method: &'a str,
    pub(super) path: &'a str,
    pub(super) query: Vec<(String, String)>,
    pub(super) accept: &'a str,
    pub(super) content_type: &'a str,
    pub(super) user_agent: &'a str,
    pub(super) body: &'a [u8],
}

impl Call<'_> {
    pub(super) fn parameter(&self, name: &str) -> &str {
        let found = self.query.iter().find(|(key, _)| key == name);
        found.map_or("", |(_, value)| value.as_str())
    }

    pub(super) fn is_set(&self, name: &str) -> bool {
        matches!(
            self.parameter(name),
            "true" | "1" | "t" | "T" | "TRUE" | "True"
        )
    }

    /// Whether the client would rather have rows than objects.
    pub(super) fn wants_table(&self) -> bool {
        let first = self.accept.split(',').find(|one| one.contains("json"));
        first.is_some_and(|first| first.contains("as=Table"))
    }

    pub(super) fn answer(&self) -> Result<Answer, Refusal> {
        let decoded: Vec<String> = self.path.split('/').map(decode).collect();
        let decoded = decoded.join("/");
        let Some(path) = path::parse(&decoded) else {
            return Err(self.unknown());
        };
        let found = match path {
            Path::Version => Some(discovery::version()),
            Path::Health => {
                return Ok(Answer::Text(
                    200,
                    "text/plain; charset=utf-8",
                    "ok".to_owned(),
                ));
            }
            Path::CoreVersions => Some(discovery::core_versions()),
            Path::Groups => Some(discovery::groups(&self.hub.lock().store.kinds)),
            Path::Group(name) => discovery::group(&self.hub.lock().store.kinds, name),
            Path::Resources { group, version } => {
                discovery::resources(&self.hub.lock().store.kinds, group, version)
            }
            Path::OpenApi(_) => None,
            Path::Collection(place) => return self.collection(&place),
            Path::Object {
                place,
                name,
                subresource,
            } => return self.object(&place, name, subresource),
        };
        found
            .map(|value| Answer::Json(200, value))
            .ok_or_else(|| self.unknown())
    }

    /// A real cluster may know this path; then it is missing here.
    fn unknown(&self) -> Refusal {
        let what = format!("{} {}", self.method, self.path);
        self.hub.lock().log.unknown(what);
        Refusal::no_such_path()
    }

    fn resource(&self, place: &Place<'_>) -> Result<Arc<Resource>, Refusal> {
        let found = {
            let state = self.hub.lock();
            state
                .store
                .kinds
                .find(place.group, place.version, place.plural)
        };
        // A kind that nobody declared is no fault of ours where the group is not built in.
        found.ok_or_else(|| match place.group {
            group if group.is_empty() || group.ends_with(".k8s.io") || group == "apps" => {
                self.unknown()
            }
            _ => Refusal::no_such_path(),
        })
    }

    fn order(
        &self,
        resource: Arc<Resource>,
        place: &Place<'_>,
        name: &str,
        subresource: &str,
    ) -> Order {
        let agent = self.user_agent.split('/').next().unwrap_or_default();
        let manager = match (self.parameter("fieldManager"), self.content_type) {
            ("", content_type) if content_type.starts_with("application/apply-patch") => "",
            ("", _) => agent,
            (manager, _) => manager,
        };
        Order {
            resource,
            namespace: place.namespace.map(str::to_owned),
            name: name.to_owned(),
            subresource: subresource.to_owned(),
            manager: manager.to_owned(),
            force: self.is_set("force"),
            is_dry_run: self.parameter("dryRun") == "All",
            now: clock::now(),
        }
    }

    fn json_body(&self) -> Result<Value, Refusal> {
        if self.content_type.contains("yaml") {
            return super::verbs::yaml(self.body);
        }
        serde_json::from_slice(self.body).map_err(|error| {
            Refusal::bad_request(format!(
                "couldn't get version/kind; json parse error: {error}"
            ))
        })
    }

    fn collection(&self, place: &Place<'_>) -> Result<Answer, Refusal> {
        let resource = self.resource(place)?;
        if place.namespace.is_some() && !resource.is_namespaced {
            return Err(self.unknown());
        }
        match self.method {
            "GET" if resource.is_stored => super::list::list(self, &resource, place),
            "POST" if resource.is_stored && resource.is_namespaced == place.namespace.is_some() => {
                let order = self.order(resource, place, "", "");
                let body = self.json_body()?;
                Self::done(
                    &order,
                    self.hub.with(|store| verbs::create(store, &order, body)),
                )
            }
            _ => Err(Refusal::method_not_allowed()),
        }
    }

    fn object(&self, place: &Place<'_>, name: &str, subresource: &str) -> Result<Answer, Refusal> {
        let resource = self.resource(place)?;
        let is_known = match subresource {
            "" => true,
            "status" => resource.has_status,
            "finalize" => resource.is("", "namespaces"),
            _ => false,
        };
        if !resource.is_stored || !is_known || resource.is_namespaced != place.namespace.is_some() {
            return Err(self.unknown());
        }
        let order = self.order(resource, place, name, subresource);
        match self.method {
            "GET" => self.get(&order),
            "PUT" => {
                let body = self.json_body()?;
                Self::done(
                    &order,
                    self.hub.with(|store| verbs::replace(store, &order, body)),
                )
            }
            "PATCH" => {
                let patch = Patch::parse(self.content_type, self.body)?;
                Self::done(
                    &order,
                    self.hub.with(|store| verbs::patch(store, &order, &patch)),
                )
            }
            "DELETE" if subresource.is_empty() => self.delete(&order),
            _ => Err(Refusal::method_not_allowed()),
        }
    }

    fn get(&self, order: &Order) -> Result<Answer, Refusal> {
        let found = self.hub.lock().store.get(&order.resource, &order.key());
        let found = found.ok_or_else(|| Refusal::not_found(&order.resource, &order.name))?;
        if self.wants_table() {
            let object = found.full(&order.resource);
            let metadata = json!({ "resourceVersion": found.revision.to_string() });
            let include = Include::parse(self.parameter("includeObject"));
            let columns = &order.resource.columns;
            return Ok(Answer::Json(
                200,
                table(columns, &[object], &metadata, include, Header::Shown),
            ));
        }
        Ok(Answer::Text(
            200,
            "application/json",
            found.text(&order.resource),
        ))
    }

    fn done(order: &Order, done: Result<Done, Refusal>) -> Result<Answer, Refusal> {
        let done = done?;
        let text = done.object.text(&order.resource);
        Ok(Answer::Text(done.code, "application/json", text))
    }

    fn delete(&self, order: &Order) -> Result<Answer, Refusal> {
        let options: Value = if self.body.is_empty() {
            json!({})
        } else {
            self.json_body()?
        };
        let text = |key: &str| options["preconditions"][key].as_str().map(str::to_owned);
        let propagation = match options["propagationPolicy"].as_str() {
            Some("Foreground") => Propagation::Foreground,
            Some("Orphan") => Propagation::Orphan,
            _ if options["orphanDependents"] == true => Propagation::Orphan,
            _ => match self.parameter("propagationPolicy") {
                "Foreground" => Propagation::Foreground,
                "Orphan" => Propagation::Orphan,
                _ => Propagation::Background,
            },
        };
        let deletion = Deletion {
            uid: text("uid"),
            revision: text("resourceVersion"),
            propagation,
        };
        let mut order = order.clone();
        order.is_dry_run |= options["dryRun"] == json!(["All"]);
        let deleted = self
            .hub
            .with(|store| verbs::delete(store, &order, &deletion))?;
        if deleted.is_held {
            let text = deleted.object.text(&order.resource);
            return Ok(Answer::Text(200, "application/json", text));
        }
        let object = deleted.object.bare(&order.resource);
        let mut details = json!({ "name": order.name });
        if !order.resource.group.is_empty() {
            details["group"] = json!(order.resource.group);
        }
        details["kind"] = json!(order.resource.plural);
        details["uid"] = object["metadata"]["uid"].clone();
        Ok(Answer::Json(200, success(&details)))
    }
}

fn decode(part: &str) -> String {
    percent_encoding::percent_decode_str(part)
        .decode_utf8_lossy()
        .into_owned()
}
