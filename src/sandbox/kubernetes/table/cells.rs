//! The columns of built-in kinds.

use serde_json::{Value, json};

use super::super::kinds::{Column, Source};

/// The columns of a built-in kind; the wide ones are shown by `-o wide` alone.
pub(in super::super) fn built_in_columns(kind: &str) -> Vec<Column> {
    let mut columns = vec![Column::name()];
    let (text, wide, count) = (text_column, wide_column, count_column);
    columns.extend(match kind {
        "Namespace" => vec![
            text("Status", |o| o["status"]["phase"].clone()),
            age_column(),
        ],
        "Secret" => vec![
            text("Type", |o| o["type"].clone()),
            text("Data", |o| json!(size(&o["data"]))),
            age_column(),
        ],
        "ConfigMap" => vec![
            text("Data", |o| json!(size(&o["data"]) + size(&o["binaryData"]))),
            age_column(),
        ],
        "ServiceAccount" => vec![
            text("Secrets", |o| json!(size(&o["secrets"]))),
            age_column(),
        ],
        "ResourceQuota" => vec![
            age_column(),
            text("Request", |o| quota(o, |name| !name.starts_with("limits."))),
            text("Limit", |o| quota(o, |name| name.starts_with("limits."))),
        ],
        "LimitRange" | "Role" | "ClusterRole" | "CustomResourceDefinition" => {
            vec![created_column()]
        }
        "Event" => return event_columns(),
        "Pod" => vec![
            text("Ready", ready_containers),
            text("Status", |o| o["status"]["phase"].clone()),
            count("Restarts", |_| json!(0)),
            age_column(),
            wide("IP", |o| or_none(&o["status"]["podIP"])),
            wide("Node", |o| or_none(&o["spec"]["nodeName"])),
            wide("Nominated Node", |o| {
                or_none(&o["status"]["nominatedNodeName"])
            }),
            wide("Readiness Gates", |_| json!("<none>")),
        ],
        "Service" => vec![
            text("Type", |o| o["spec"]["type"].clone()),
            text("Cluster-IP", |o| or_none(&o["spec"]["clusterIP"])),
            text("External-IP", |_| json!("<none>")),
            text("Port(s)", ports),
            age_column(),
            wide("Selector", |o| {
                selector(&json!({ "matchLabels": o["spec"]["selector"] }))
            }),
        ],
        "NetworkPolicy" => vec![
            text("Pod-Selector", |o| selector(&o["spec"]["podSelector"])),
            age_column(),
        ],
        "RoleBinding" | "ClusterRoleBinding" => vec![
            text("Role", |o| {
                let role = &o["roleRef"];
                json!(format!("{}/{}", plain(&role["kind"]), plain(&role["name"])))
            }),
            age_column(),
            wide("Users", |o| subjects(o, "User")),
            wide("Groups", |o| subjects(o, "Group")),
            wide("ServiceAccounts", |o| subjects(o, "ServiceAccount")),
        ],
        "Deployment" => vec![
            text("Ready", |o| {
                let ready = number(&o["status"]["readyReplicas"]);
                json!(format!("{ready}/{}", number(&o["spec"]["replicas"])))
            }),
            text("Up-to-date", |o| {
                json!(number(&o["status"]["updatedReplicas"]))
            }),
            text("Available", |o| {
                json!(number(&o["status"]["availableReplicas"]))
            }),
            age_column(),
            wide("Containers", |o| containers(o, "name")),
            wide("Images", |o| containers(o, "image")),
            wide("Selector", |o| selector(&o["spec"]["selector"])),
        ],
        "Lease" => vec![
            text("Holder", |o| o["spec"]["holderIdentity"].clone()),
            age_column(),
        ],
        _ => vec![age_column()],
    });
    columns
}

fn event_columns() -> Vec<Column> {
    vec![
        text_column("Last Seen", |o| o["lastTimestamp"].clone()),
        text_column("Type", |o| o["type"].clone()),
        text_column("Reason", |o| o["reason"].clone()),
        text_column("Object", |o| {
            let about = &o["involvedObject"];
            let kind = plain(&about["kind"]).to_lowercase();
            json!(format!("{kind}/{}", plain(&about["name"])))
        }),
        text_column("Message", |o| json!(plain(&o["message"]).trim())),
        wide_column("Name", |o| o["metadata"]["name"].clone()),
    ]
}

fn built(name: &str, kind: &str, priority: i64, source: Source) -> Column {
    Column {
        name: name.to_owned(),
        kind: kind.to_owned(),
        format: String::new(),
        description: String::new(),
        priority,
        source,
    }
}

fn text_column(name: &str, cell: fn(&Value) -> Value) -> Column {
    built(name, "string", 0, Source::Built(cell))
}

fn wide_column(name: &str, cell: fn(&Value) -> Value) -> Column {
    built(name, "string", 1, Source::Built(cell))
}

fn count_column(name: &str, cell: fn(&Value) -> Value) -> Column {
    built(name, "integer", 0, Source::Built(cell))
}

fn age_column() -> Column {
    built("Age", "string", 0, Source::Age)
}

fn created_column() -> Column {
    let created = |object: &Value| object["metadata"]["creationTimestamp"].clone();
    built("Created At", "date", 0, Source::Built(created))
}

fn size(value: &Value) -> usize {
    let map = value.as_object().map_or(0, serde_json::Map::len);
    map + value.as_array().map_or(0, Vec::len)
}

fn number(value: &Value) -> i64 {
    value.as_i64().unwrap_or_default()
}

fn plain(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

fn or_none(value: &Value) -> Value {
    match value.as_str() {
        None | Some("") => json!("<none>"),
        Some(text) => json!(text),
    }
}

/// `pods: 0/10, requests.cpu: 0/4`.
fn quota(object: &Value, wanted: fn(&str) -> bool) -> Value {
    let (hard, used) = (&object["status"]["hard"], &object["status"]["used"]);
    let mut parts: Vec<_> = hard
        .as_object()
        .into_iter()
        .flatten()
        .filter(|(name, _)| wanted(name))
        .map(|(name, most)| format!("{name}: {}/{}", plain(&used[name]), plain(most)))
        .collect();
    parts.sort();
    json!(parts.join(", "))
}

fn ready_containers(object: &Value) -> Value {
    let statuses = object["status"]["containerStatuses"].as_array();
    let ready = statuses.into_iter().flatten();
    let ready = ready.filter(|status| status["ready"] == true).count();
    json!(format!("{ready}/{}", size(&object["spec"]["containers"])))
}

fn ports(object: &Value) -> Value {
    let ports = object["spec"]["ports"].as_array().into_iter().flatten();
    let ports: Vec<_> = ports
        .map(|port| format!("{}/{}", number(&port["port"]), plain(&port["protocol"])))
        .collect();
    json!(ports.join(","))
}

fn containers(object: &Value, key: &str) -> Value {
    let containers = object["spec"]["template"]["spec"]["containers"].as_array();
    let texts: Vec<_> = containers
        .into_iter()
        .flatten()
        .map(|container| plain(&container[key]))
        .collect();
    json!(texts.join(","))
}

/// `app=web,tier in (a,b)`; what takes everything is `<none>`.
fn selector(selector: &Value) -> Value {
    let labels = selector["matchLabels"].as_object().into_iter().flatten();
    let mut parts: Vec<_> = labels
        .map(|(key, value)| format!("{key}={}", plain(value)))
        .collect();
    parts.sort();
    for one in selector["matchExpressions"]
        .as_array()
        .into_iter()
        .flatten()
    {
        let key = plain(&one["key"]);
        let values: Vec<_> = one["values"]
            .as_array()
            .into_iter()
            .flatten()
            .map(plain)
            .collect();
        parts.push(match plain(&one["operator"]) {
            "In" => format!("{key} in ({})", values.join(",")),
            "NotIn" => format!("{key} notin ({})", values.join(",")),
            "Exists" => key.to_owned(),
            _ => format!("!{key}"),
        });
    }
    if parts.is_empty() {
        json!("<none>")
    } else {
        json!(parts.join(","))
    }
}

fn subjects(object: &Value, kind: &str) -> Value {
    let subjects = object["subjects"].as_array().into_iter().flatten();
    let names: Vec<_> = subjects
        .filter(|subject| subject["kind"] == kind)
        .map(|subject| match kind {
            "ServiceAccount" => {
                format!(
                    "{}/{}",
                    plain(&subject["namespace"]),
                    plain(&subject["name"])
                )
            }
            _ => plain(&subject["name"]).to_owned(),
        })
        .collect();
    json!(names.join(", "))
}
