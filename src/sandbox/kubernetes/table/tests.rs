use serde_json::json;

use super::*;

#[test]
fn a_path_finds_the_condition_that_it_names() {
    let object = json!({
        "metadata": { "annotations": { "a.b/c": "dotted" } },
        "status": { "conditions": [
            { "type": "Reconciling", "status": "False" },
            { "type": "Ready", "status": "True" },
        ] },
        "spec": { "list": [[1], [2, 3]] },
    });
    let found = |path: &str| jsonpath::first(&object, path).cloned();
    let ready = r#".status.conditions[?(@.type=="Ready")].status"#;
    assert_eq!(found(ready), Some(json!("True")));
    assert_eq!(found(r".status.conditions[?(@.type=='None')].status"), None);
    assert_eq!(found(".spec.list[1][0]"), Some(json!(2)));
    assert_eq!(found(".spec.list[*][1]"), Some(json!(3)));
    assert_eq!(
        found(r".metadata.annotations.a\.b/c"),
        Some(json!("dotted"))
    );
    assert_eq!(
        found(".metadata.annotations['a.b/c']"),
        Some(json!("dotted"))
    );
    assert_eq!(found(".spec.missing.deep"), None);
}

#[test]
fn durations_are_exact_where_they_are_short() {
    let table = [
        (0, "0s"),
        (119, "119s"),
        (120, "2m"),
        (303, "5m3s"),
        (600, "10m"),
        (3 * 3600, "3h"),
        (3 * 3600 + 300, "3h5m"),
        (26 * 3600, "26h"),
        (3 * 86_400 + 7200, "3d2h"),
        (12 * 86_400 + 7200, "12d"),
        (800 * 86_400, "2y70d"),
        (-5, "<invalid>"),
    ];
    for (seconds, text) in table {
        assert_eq!(duration(seconds), text, "{seconds}");
    }
}
