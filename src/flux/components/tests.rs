use serde_json::{Value, json};

use super::{
    Components, Identity, Refused, Source, check_sum, documents, kustomization_file, patches, sync,
    sync_file, version_of,
};
use crate::flux::lockdown::Controller;

fn deployment(controller: Controller) -> Value {
    json!({
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {
            "name": controller,
            "namespace": "flux-system",
            "labels": { "app.kubernetes.io/part-of": "flux", "app.kubernetes.io/version": "v2.9.4" },
        },
        "spec": { "template": { "spec": { "containers": [{
            "name": "manager",
            "image": format!("ghcr.io/fluxcd/{controller}:v1.9.4"),
            "args": ["--log-level=info"],
        }] } } },
    })
}

fn definition(group: &str, plural: &str, versions: &[&str]) -> Value {
    let versions: Vec<_> = versions
        .iter()
        .map(|name| json!({ "name": name, "served": true }))
        .collect();
    json!({
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": { "name": format!("{plural}.{group}") },
        "spec": { "group": group, "versions": versions },
    })
}

fn all() -> Vec<Value> {
    vec![
        json!({ "apiVersion": "v1", "kind": "Namespace", "metadata": { "name": "flux-system" } }),
        definition("source.toolkit.fluxcd.io", "gitrepositories", &["v1"]),
        definition("kustomize.toolkit.fluxcd.io", "kustomizations", &["v1"]),
        definition("helm.toolkit.fluxcd.io", "helmreleases", &["v2"]),
        deployment(Controller::Source),
        deployment(Controller::Kustomize),
        deployment(Controller::Helm),
    ]
}

fn text(objects: &[Value]) -> String {
    objects
        .iter()
        .map(|object| format!("---\n{}", serde_yaml::to_string(object).unwrap()))
        .collect()
}

fn read(change: impl FnOnce(&mut Vec<Value>)) -> Result<Components, Refused> {
    let mut objects = all();
    change(&mut objects);
    Components::read(&text(&objects))
}

fn refusal(change: impl FnOnce(&mut Vec<Value>)) -> String {
    read(change).unwrap_err().0
}

fn source() -> Source {
    Source {
        url: "ssh://git@github.com/acme/workspace-admin.git".to_owned(),
        branch: "main".to_owned(),
        path: "./kubernetes".to_owned(),
    }
}

#[test]
fn what_flux_prints_is_locked_down_when_it_is_applied_and_committed_as_it_is() {
    let given = format!("---\n# Flux Version: v2.9.4\n{}", text(&all()));
    let components = Components::read(&given).unwrap();
    assert_eq!(components.text, given);
    assert_eq!(components.version, "v2.9.4");
    let arguments = |index: usize| {
        &components.objects[index]["spec"]["template"]["spec"]["containers"][0]["args"]
    };
    assert_eq!(*arguments(4), json!(["--log-level=info"]));
    assert_eq!(
        *arguments(5),
        json!([
            "--log-level=info",
            "--no-cross-namespace-refs=true",
            "--no-remote-bases=true",
            "--default-service-account=flux",
        ])
    );
    let annotations = &components.objects[0]["metadata"]["annotations"];
    assert_eq!(annotations["kustomize.toolkit.fluxcd.io/prune"], "disabled");
    let names: Vec<_> = components
        .vital()
        .map(|object| Identity::of(object).to_string())
        .collect();
    assert_eq!(
        names,
        [
            "Namespace flux-system",
            "CustomResourceDefinition gitrepositories.source.toolkit.fluxcd.io",
            "CustomResourceDefinition kustomizations.kustomize.toolkit.fluxcd.io",
            "Deployment source-controller",
            "Deployment kustomize-controller",
        ]
    );
    let definitions: Vec<_> = components.definitions().collect();
    assert_eq!(
        definitions[2],
        ("helmreleases.helm.toolkit.fluxcd.io", vec!["v2"])
    );
}

#[test]
fn what_is_not_all_of_flux_is_refused() {
    type Change = fn(&mut Vec<Value>);
    let cases: &[(&str, Change)] = &[
        ("it is empty", Vec::clear),
        ("does not hold Namespace", |objects| {
            objects.remove(0);
        }),
        ("does not serve `source.toolkit.fluxcd.io/v1`", |objects| {
            objects.remove(1);
        }),
        (
            "does not serve `kustomize.toolkit.fluxcd.io/v1`",
            |objects| {
                objects[2] = definition(
                    "kustomize.toolkit.fluxcd.io",
                    "kustomizations",
                    &["v1beta2"],
                );
            },
        ),
        ("no `helm-controller`", |objects| {
            objects.pop();
        }),
        ("no `source-controller`", |objects| {
            objects.remove(4);
        }),
        ("no Deployment in `flux-system`", |objects| {
            objects.truncate(4);
        }),
        ("has no `args`", |objects| {
            objects[5]["spec"]["template"]["spec"]["containers"][0]["args"] = Value::Null;
        }),
        ("older than Flux 2.7", |objects| {
            objects[5]["metadata"]["labels"]["app.kubernetes.io/version"] = json!("v2.6.1");
        }),
        // The patch adds to the first container, and this one is another.
        ("runs without `--no-cross-namespace-refs=true`", |objects| {
            let containers = &mut objects[5]["spec"]["template"]["spec"]["containers"];
            let proxy = json!({ "name": "proxy", "image": "envoy:v1.30", "args": [] });
            containers.as_array_mut().unwrap().insert(0, proxy);
        }),
        ("does not start `kustomize-controller`", |objects| {
            objects[5]["spec"]["template"]["spec"]["containers"][0]["command"] = json!(["sh"]);
        }),
        ("in the namespace `kube-system`", |objects| {
            objects[5]["metadata"]["namespace"] = json!("kube-system");
        }),
        ("no `apiVersion`, `kind` or `metadata.name`", |objects| {
            objects.push(json!({ "kind": "Service" }));
        }),
    ];
    for (said, change) in cases {
        let refused = refusal(*change);
        assert!(refused.contains(said), "{said}: {refused}");
    }
    for text in ["", "# nothing\n", "---\n---\n"] {
        assert_eq!(Components::read(text).unwrap_err().0, "it is empty");
    }
    for text in ["a: [", "a: 1\na: 2\n"] {
        let refused = Components::read(text).unwrap_err().0;
        assert!(refused.starts_with("it is not YAML: "), "{refused}");
    }
}

#[test]
fn a_release_without_versions_in_its_labels_is_refused() {
    let refused = refusal(|objects| {
        for object in &mut objects[4..] {
            object["metadata"]["labels"]
                .as_object_mut()
                .unwrap()
                .shift_remove("app.kubernetes.io/version");
        }
    });
    assert!(refused.contains("flux install --export"), "{refused}");
}

#[test]
fn a_sum_is_compared_without_regard_to_case() {
    let sum = "2CF24DBA5FB0A30E26E83B2AC5B9E29E1B161E5C1FA7425E73043362938B9824";
    assert_eq!(check_sum(b"hello", sum), Ok(()));
    let refused = check_sum(b"hello!", sum).unwrap_err().0;
    assert!(refused.contains("should be `2CF24"), "{refused}");
}

/// What is applied is what Flux builds: the entries, read back, do to the objects what was done to them.
#[test]
fn the_file_and_the_patched_objects_agree() {
    let file = kustomization_file(None).unwrap().unwrap();
    let file: Value = serde_saphyr::from_str(&file).unwrap();
    assert_eq!(
        file["resources"],
        json!(["gotk-components.yaml", "gotk-sync.yaml"])
    );
    let mut built = all();
    built.extend(documents(&sync_file(&source(), None).unwrap()).unwrap());
    for entry in file["patches"].as_array().unwrap() {
        build(&mut built, entry);
    }
    let mut applied = read(|_| {}).unwrap().objects;
    applied.extend(sync(&source()));
    assert_eq!(built, applied);
    assert_eq!(
        built[8]["spec"]["serviceAccountName"],
        "kustomize-controller"
    );
}

/// A second, independent reading of kustomize's patches: JSON Patch (RFC 6902) where there is a target, else a merge.
fn build(objects: &mut [Value], entry: &Value) {
    let patch: Value = serde_saphyr::from_str(entry["patch"].as_str().unwrap()).unwrap();
    for object in objects {
        match &entry["target"] {
            Value::Null => {
                let key = |object: &Value| {
                    let metadata = &object["metadata"];
                    (
                        object["kind"].clone(),
                        metadata["name"].clone(),
                        metadata["namespace"].clone(),
                    )
                };
                if key(object) == key(&patch) {
                    overlay(object, &patch);
                }
            }
            target
                if target["kind"] == object["kind"]
                    && target["name"] == object["metadata"]["name"] =>
            {
                for operation in patch.as_array().unwrap() {
                    assert_eq!(operation["op"], "add");
                    let place = operation["path"].as_str().unwrap();
                    let list = object
                        .pointer_mut(place.strip_suffix("/-").unwrap())
                        .unwrap();
                    list.as_array_mut()
                        .unwrap()
                        .push(operation["value"].clone());
                }
            }
            _ => {}
        }
    }
}

fn overlay(object: &mut Value, patch: &Value) {
    let Some(fields) = patch.as_object() else {
        *object = patch.clone();
        return;
    };
    for (key, value) in fields {
        if object[key].is_null() {
            object[key] = json!({});
        }
        overlay(&mut object[key], value);
    }
}

#[test]
fn an_administrators_own_patches_survive() {
    let ours = kustomization_file(None).unwrap().unwrap();
    assert_eq!(kustomization_file(Some(&ours)), Ok(None));
    let theirs = ours
        + "- target: {kind: Deployment}\n  patch: |\n    - {op: add, path: /spec/replicas, value: 2}\ncomponents: [more]\n";
    assert_eq!(kustomization_file(Some(&theirs)), Ok(None));

    let plain = "apiVersion: kustomize.config.k8s.io/v1beta1\nkind: Kustomization\nresources:\n- gotk-components.yaml\n- gotk-sync.yaml\n";
    assert!(kustomization_file(Some(plain)).unwrap().is_some());

    let lacking = theirs.replace("--no-remote-bases=true", "--no-remote-bases=false");
    let refused = kustomization_file(Some(&lacking)).unwrap_err().0;
    assert!(refused.contains("--no-remote-bases=true"), "{refused}");
    let broken = kustomization_file(Some("patches: {")).unwrap_err().0;
    assert!(broken.contains("cannot be read"), "{broken}");
}

#[test]
fn a_sync_that_says_the_same_in_other_words_is_left_alone() {
    let ours = sync_file(&source(), None).unwrap();
    assert_eq!(sync_file(&source(), Some(&ours)), None);
    let theirs = ours
        .replace("1m0s", "5m")
        .replace("prune: true", "prune: true\n  wait: true");
    assert_eq!(sync_file(&source(), Some(&theirs)), None);
    for (from, to) in [
        ("./kubernetes", "./other"),
        ("acme/workspace-admin", "acme/else"),
        ("branch: main", "branch: next"),
        ("prune: true", "prune: false"),
    ] {
        let other = ours.replace(from, to);
        assert!(sync_file(&source(), Some(&other)).is_some(), "{to}");
    }
    assert!(sync_file(&source(), Some("")).is_some());
}

#[test]
fn every_controller_that_needs_arguments_has_a_patch() {
    let entries: Vec<_> = patches().iter().map(super::Patch::entry).collect();
    let targets: Vec<_> = entries
        .iter()
        .filter_map(|entry| entry["target"]["name"].as_str())
        .collect();
    let needing: Vec<_> = Controller::ALL
        .iter()
        .filter(|controller| !controller.required().is_empty())
        .map(|controller| controller.as_str())
        .collect();
    assert_eq!(targets, needing);
}

#[test]
fn an_older_file_tells_its_version() {
    assert_eq!(version_of(&text(&all())).as_deref(), Some("v2.9.4"));
    assert_eq!(version_of("a: ["), None);
}

/// Flux's own are half a megabyte, most of it in definitions that are nested deeply.
#[test]
fn manifests_of_fluxs_size_are_read() {
    let mut schema = json!({ "type": "string", "description": "word ".repeat(200) });
    for _ in 0..12 {
        schema = json!({ "type": "object", "properties": { "spec": schema, "status": { "type": "object" } } });
    }
    let components = read(|objects| {
        for number in 0..200 {
            let mut more = definition("more.toolkit.fluxcd.io", &format!("more{number}"), &["v1"]);
            more["spec"]["versions"][0]["schema"] = json!({ "openAPIV3Schema": schema });
            objects.push(more);
        }
    });
    let components = components.unwrap();
    assert!(components.text.len() > 500_000, "{}", components.text.len());
    assert_eq!(components.objects.len(), 207);
}
