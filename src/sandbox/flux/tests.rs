use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::{Value, json};

use super::build;
use super::inventory::{self, Entry};
use super::origin::Address;
use super::patches;
use super::status::{Status, duration};

#[test]
fn an_address_is_read_from_the_ssh_form_alone() {
    let address = |url: &str| Address::parse(url).map(|found| (found.host, found.repository));
    let expected = Some(("github.com".to_owned(), "acme/web".to_owned()));
    assert_eq!(address("ssh://git@github.com/acme/web.git"), expected);
    assert_eq!(address("ssh://git@github.com:22/acme/web"), expected);
    for wrong in [
        "git@github.com:acme/web.git",
        "https://github.com/acme/web",
        "ssh://github.com/acme",
    ] {
        assert_eq!(address(wrong), None, "{wrong}");
    }
}

#[test]
fn durations_are_those_of_go() {
    let table = [
        ("10m", Some(600_000)),
        ("1h30m", Some(5_400_000)),
        ("1.5s", Some(1500)),
        ("300ms", Some(300)),
        ("10", None),
        ("", None),
        ("5d", None),
    ];
    for (text, milliseconds) in table {
        assert_eq!(
            duration(text),
            milliseconds.map(Duration::from_millis),
            "{text}"
        );
    }
}

#[test]
fn a_conditions_time_stays_while_its_status_does() {
    let object = json!({
        "metadata": { "generation": 3 },
        "status": { "conditions": [
            { "type": "Ready", "status": "False", "lastTransitionTime": "2020-01-01T00:00:00Z" },
        ] },
    });
    let mut status = Status::of(&object);
    status.set("Ready", "False", "BuildFailed", "no");
    status.set("Healthy", "True", "Succeeded", "yes");
    let ready = &status.value["conditions"][0];
    assert_eq!(ready["lastTransitionTime"], "2020-01-01T00:00:00Z");
    assert_eq!(ready["observedGeneration"], 3);
    assert_eq!(status.value["conditions"][1]["type"], "Healthy");
    status.set("Ready", "True", "ReconciliationSucceeded", "done");
    assert_ne!(
        status.value["conditions"][0]["lastTransitionTime"],
        "2020-01-01T00:00:00Z"
    );
    assert!(status.is_ready());
}

#[test]
fn an_inventory_reads_what_it_wrote() {
    let manifest = json!({
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": "Role",
        "metadata": { "name": "system:some_role", "namespace": "ai" },
    });
    let cluster_wide =
        json!({ "apiVersion": "v1", "kind": "Namespace", "metadata": { "name": "ai" } });
    let entries = [Entry::of(&manifest), Entry::of(&cluster_wide)]
        .into_iter()
        .collect();
    let written = inventory::write(&entries);
    let ids: Vec<_> = written["entries"]
        .as_array()
        .unwrap()
        .iter()
        .map(|entry| entry["id"].clone())
        .collect();
    assert_eq!(
        ids,
        [
            "_ai__Namespace",
            "ai_system__some_role_rbac.authorization.k8s.io_Role"
        ]
    );
    assert_eq!(inventory::read(&json!({ "inventory": written })), entries);
}

fn built(files: &[(&str, &str)]) -> Result<Vec<String>, String> {
    let files: BTreeMap<String, String> = files
        .iter()
        .map(|(path, text)| ((*path).to_owned(), (*text).to_owned()))
        .collect();
    let name = |manifest: &Value| {
        let namespace = manifest["metadata"]["namespace"].as_str().unwrap_or("-");
        format!(
            "{namespace}/{}",
            manifest["metadata"]["name"].as_str().unwrap()
        )
    };
    build::manifests(&files).map(|manifests| manifests.iter().map(name).collect())
}

fn config_map(name: &str) -> String {
    format!("apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: {name}}}\n")
}

#[test]
fn without_a_kustomization_every_file_counts() {
    let (a, b) = (
        config_map("a"),
        config_map("b") + "---\n" + &config_map("c") + "---\n",
    );
    assert_eq!(
        built(&[("a.yaml", &a), ("deep/b.yml", &b)]).unwrap(),
        ["-/a", "-/b", "-/c"]
    );
    assert_eq!(built(&[]).unwrap(), Vec::<String>::new());
}

#[test]
fn a_kustomization_says_what_counts_and_where() {
    let (a, b, c) = (config_map("a"), config_map("b"), config_map("c"));
    let files = [
        (
            "kustomization.yaml",
            "namespace: ai\nresources: [a.yaml, base]\n",
        ),
        ("a.yaml", a.as_str()),
        ("base/b.yaml", b.as_str()),
        ("other/c.yaml", c.as_str()),
    ];
    assert_eq!(built(&files).unwrap(), ["ai/a", "ai/b"]);
    let unknown = built(&[("kustomization.yaml", "images: []\n")]).unwrap_err();
    assert!(unknown.contains("`images`"), "{unknown}");
    let missing = built(&[("kustomization.yaml", "resources: [gone.yaml]\n")]).unwrap_err();
    assert!(missing.contains("gone.yaml: no such file"), "{missing}");
    let outside = built(&[("kustomization.yaml", "resources: [../x.yaml]\n")]).unwrap_err();
    assert!(outside.contains("leads out"), "{outside}");
}

#[test]
fn patches_change_what_they_are_for() {
    let mut manifests = [
        json!({ "apiVersion": "v1", "kind": "Pod", "metadata": { "name": "a" }, "args": ["x"] }),
        json!({ "apiVersion": "v1", "kind": "Pod", "metadata": { "name": "b" }, "args": ["x"] }),
    ];
    let apply = |entry: Value, manifests: &mut [Value]| patches::apply(&entry, manifests);
    let added = r#"[{"op": "add", "path": "/args/-", "value": "y"}, {"op": "add", "path": "/metadata/a~1b", "value": 1}]"#;
    let target = json!({ "kind": "Pod", "name": "b" });
    apply(json!({ "target": target, "patch": added }), &mut manifests).unwrap();
    assert_eq!(manifests[0]["args"], json!(["x"]));
    assert_eq!(manifests[1]["args"], json!(["x", "y"]));
    assert_eq!(manifests[1]["metadata"]["a/b"], 1);

    let merged = "{apiVersion: v1, kind: Pod, metadata: {name: a, labels: {c: d}}}";
    apply(json!({ "patch": merged }), &mut manifests).unwrap();
    assert_eq!(
        manifests[0]["metadata"],
        json!({ "name": "a", "labels": { "c": "d" } })
    );

    for (entry, said) in [
        (
            json!({ "patch": merged.replace('a', "z") }),
            "no resource matches",
        ),
        (
            json!({ "target": { "labelSelector": "a" }, "patch": "[]" }),
            "`labelSelector`",
        ),
        (
            json!({ "patch": merged.replace("c: d", "c: [d]") }),
            "a list or a removal",
        ),
        (
            json!({ "target": target, "patch": added.replace("add", "remove") }),
            "does not understand",
        ),
        (
            json!({ "target": target, "patch": added.replace("/args", "/spec/args") }),
            "missing path",
        ),
    ] {
        let refused = apply(entry, &mut manifests).unwrap_err();
        assert!(refused.contains(said), "{said}: {refused}");
    }
}

#[test]
fn what_is_no_manifest_or_there_twice_is_refused() {
    let wrong = built(&[("a.yaml", "just: text\n")]).unwrap_err();
    assert!(wrong.contains("missing apiVersion"), "{wrong}");
    let a = config_map("a");
    let twice = built(&[("a.yaml", &a), ("b.yaml", &a)]).unwrap_err();
    assert!(twice.contains("already registered"), "{twice}");
}
