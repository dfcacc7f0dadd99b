use serde_json::json;

use super::super::kubernetes::SECRETS;
use super::{control_room, fit_to_show, house};

#[test]
fn what_is_secret_is_not_shown() {
    let secret = json!({
        "metadata": {
            "name": "git-auth",
            "managedFields": [{"manager": "tenantry"}],
            "annotations": {"kubectl.kubernetes.io/last-applied-configuration": "c2VjcmV0"},
        },
        "data": {"identity": "c2VjcmV0"},
        "stringData": {"other": "open"},
    });
    let shown = fit_to_show(secret, SECRETS);
    assert_eq!(
        shown,
        json!({
            "metadata": {"name": "git-auth", "annotations": {}},
            "data": {"identity": "(6 bytes, hidden)"},
            "stringData": {"other": "(3 bytes, hidden)"},
        })
    );
}

#[test]
fn what_an_object_has_not_is_not_added() {
    let secret = json!({"metadata": {"name": "git-auth"}, "data": {}});
    assert_eq!(fit_to_show(secret.clone(), SECRETS), secret);
}

#[test]
fn a_tenant_begins_with_its_control_room() {
    let namespace = |name: &str, maker: &str| {
        let labels =
            json!({"app.kubernetes.io/managed-by": maker, "app.kubernetes.io/instance": "ai-team"});
        json!({"metadata": {"name": name, "labels": labels}})
    };
    let namespaces = vec![
        namespace("ai", "tenantry"),
        namespace("helms", "Helm"),
        namespace("tenant-ai-team", "tenantry"),
    ];
    let (house, others) = house(Vec::new(), namespaces, &[]);
    let rooms: Vec<&str> = house["ai-team"]
        .rooms
        .iter()
        .map(super::Room::name)
        .collect();
    assert_eq!(rooms, [control_room("ai-team").as_str(), "ai"]);
    assert_eq!(others, ["helms"]);
}
