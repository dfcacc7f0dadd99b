use serde_json::{Value, json};

use super::{Controller, Gap, Policy, Served, Sight, Standing, gaps};
use crate::tenants::Lockdown;

/// A Deployment as Flux's own manifests have it.
fn deployment(controller: Controller, arguments: &[&str]) -> Value {
    let mut all = vec!["--log-level=info", "--enable-leader-election"];
    all.extend(arguments);
    json!({
        "metadata": {
            "name": controller,
            "generation": 1,
            "labels": {
                "app.kubernetes.io/component": controller,
                "app.kubernetes.io/part-of": "flux",
                "app.kubernetes.io/version": "v2.9.4",
            },
        },
        "spec": { "replicas": 1, "template": { "spec": { "containers": [{
            "name": "manager",
            "image": format!("ghcr.io/fluxcd/{controller}:v1.9.4"),
            "args": all,
        }] } } },
        "status": { "observedGeneration": 1, "updatedReplicas": 1, "readyReplicas": 1 },
    })
}

fn locked(controller: Controller) -> Value {
    let arguments: Vec<_> = controller
        .required()
        .iter()
        .map(|(flag, value)| format!("{flag}={value}"))
        .collect();
    let arguments: Vec<_> = arguments.iter().map(String::as_str).collect();
    deployment(controller, &arguments)
}

fn all_locked() -> Vec<Value> {
    Controller::ALL.iter().copied().map(locked).collect()
}

fn served() -> Served {
    let groups = [
        ("source.toolkit.fluxcd.io", "v1"),
        ("kustomize.toolkit.fluxcd.io", "v1"),
        ("helm.toolkit.fluxcd.io", "v2"),
        ("notification.toolkit.fluxcd.io", "v1beta3"),
        ("image.toolkit.fluxcd.io", "v1"),
        ("source.extensions.fluxcd.io", "v1beta1"),
        ("apps", "v1"),
    ];
    groups
        .into_iter()
        .map(|(group, version)| (group.to_owned(), [version.to_owned()].into()))
        .collect()
}

fn sight(deployments: Vec<Value>) -> Sight {
    Sight {
        deployments: Ok(deployments),
        served: Ok(served()),
    }
}

fn messages(sight: &Sight) -> Vec<String> {
    gaps(sight).iter().map(Gap::message).collect()
}

/// The kustomize-controller's container, changed, among controllers that are locked down.
fn with_container(change: impl FnOnce(&mut Value)) -> Vec<String> {
    with_kustomize(|deployment| {
        change(&mut deployment["spec"]["template"]["spec"]["containers"][0]);
    })
}

fn with_kustomize(change: impl FnOnce(&mut Value)) -> Vec<String> {
    let mut deployments = all_locked();
    change(&mut deployments[1]);
    messages(&sight(deployments))
}

#[test]
fn flux_is_locked_down_if_every_controller_is() {
    assert_eq!(messages(&sight(all_locked())), [""; 0]);
}

#[test]
fn only_what_is_installed_must_be_locked_down() {
    let two = || vec![locked(Controller::Source), locked(Controller::Kustomize)];
    let mut without = sight(two());
    without.served = without.served.map(|mut served| {
        served
            .retain(|group, _| group.starts_with("source.tool") || group.starts_with("kustomize"));
        served
    });
    assert_eq!(messages(&without), [""; 0]);
    // What the cluster serves and nobody is seen to work on may be worked on elsewhere.
    let seen: Vec<_> = messages(&sight(two()))
        .into_iter()
        .map(|message| message.split('`').nth(3).unwrap_or_default().to_owned())
        .collect();
    assert_eq!(
        seen,
        [
            "helm-controller",
            "notification-controller",
            "image-reflector-controller",
            "source-watcher"
        ]
    );
}

#[test]
fn each_required_argument_is_missed_on_its_own() {
    for &controller in Controller::ALL {
        for &(left_out, _) in controller.required() {
            let kept: Vec<_> = controller
                .required()
                .iter()
                .filter(|(flag, _)| *flag != left_out)
                .map(|(flag, value)| format!("{flag}={value}"))
                .collect();
            let kept: Vec<_> = kept.iter().map(String::as_str).collect();
            let mut deployments: Vec<_> = all_locked();
            let place = Controller::ALL.iter().position(|one| *one == controller);
            deployments[place.unwrap()] = deployment(controller, &kept);
            let found = messages(&sight(deployments));
            assert_eq!(found.len(), 1, "{found:?}");
            let said = format!("`{controller}` runs without `{left_out}=");
            assert!(found[0].starts_with(&said), "{found:?}");
        }
    }
    assert_eq!(Controller::Source.required(), []);
}

#[test]
fn arguments_are_read_as_the_controllers_read_them() {
    let rest = ["--no-remote-bases", "--default-service-account=flux"];
    let cases: &[(&[&str], Option<&str>)] = &[
        (&["--no-cross-namespace-refs"], None),
        (&["--no-cross-namespace-refs=true"], None),
        (&["--no-cross-namespace-refs=1"], None),
        (
            &["--no-cross-namespace-refs=false"],
            Some("--no-cross-namespace-refs=false"),
        ),
        (
            &["--no-cross-namespace-refs="],
            Some("--no-cross-namespace-refs="),
        ),
        (
            &["--no-cross-namespace-refs", "--no-cross-namespace-refs=f"],
            Some("--no-cross-namespace-refs=f"),
        ),
        (
            &[
                "--no-cross-namespace-refs=false",
                "--no-cross-namespace-refs=true",
            ],
            None,
        ),
        // A switch takes no second word: Go reads this as true.
        (&["--no-cross-namespace-refs", "false"], None),
        (
            &["--no-cross-namespace-refs-not=true"],
            Some("without `--no-cross-namespace-refs=true`"),
        ),
        (
            &["--", "--no-cross-namespace-refs=true"],
            Some("without `--no-cross-namespace-refs=true`"),
        ),
        (&[], Some("without `--no-cross-namespace-refs=true`")),
    ];
    for (arguments, wrong) in cases {
        let all = [&rest[..], arguments].concat();
        let found = with_container(|container| container["args"] = json!(all));
        match wrong {
            None => assert_eq!(found, [""; 0], "{arguments:?}"),
            Some(wrong) => {
                assert_eq!(found.len(), 1, "{arguments:?}: {found:?}");
                assert!(found[0].contains(wrong), "{arguments:?}: {found:?}");
            }
        }
    }
}

#[test]
fn the_account_is_exactly_that_which_tenants_have() {
    let with = |words: &[&str]| {
        let all = [
            &["--no-remote-bases", "--no-cross-namespace-refs"][..],
            words,
        ]
        .concat();
        with_container(|container| container["args"] = json!(all)).concat()
    };
    assert_eq!(with(&["--default-service-account", "flux"]), "");
    let cases: &[&[&str]] = &[
        &["--default-service-account=default"],
        &["--default-service-account=$(ACCOUNT)"],
        &["--default-service-account", "default"],
        &[
            "--default-service-account=flux",
            "--default-service-account=",
        ],
        &["--default-service-account"],
    ];
    for words in cases {
        let found = with(words);
        assert!(
            found.ends_with("in place of `--default-service-account=flux`"),
            "{words:?}: {found}"
        );
    }
}

#[test]
fn a_command_counts_as_far_as_it_starts_the_controller() {
    let start = |command: &[&str], args: &[&str]| {
        with_container(|container| {
            container["command"] = json!(command);
            container["args"] = json!(args);
        })
        .concat()
    };
    let right = [
        "--no-remote-bases",
        "--no-cross-namespace-refs",
        "--default-service-account=flux",
    ];
    let tini = ["/sbin/tini", "--", "/usr/local/bin/kustomize-controller"];
    assert_eq!(start(&tini, &right), "");
    assert_eq!(start(&[&tini[2..], &right].concat(), &[]), "");
    assert_eq!(
        start(
            &tini[..1],
            &[&["--", "kustomize-controller"], &right[..]].concat()
        ),
        ""
    );
    // Tini's own arguments are not the controller's.
    let before = [&["/sbin/tini"], &right[..], &["--", "kustomize-controller"]].concat();
    assert!(start(&before, &[]).contains("runs without"));
    let shell = [
        "/bin/sh",
        "-c",
        "exec kustomize-controller --no-remote-bases",
    ];
    let found = start(&shell, &right);
    assert!(
        found.contains("does not start `kustomize-controller`"),
        "{found}"
    );
}

#[test]
fn every_container_that_is_a_controller_counts() {
    let found = with_kustomize(|deployment| {
        let containers = &mut deployment["spec"]["template"]["spec"]["containers"];
        let other = json!({ "name": "proxy", "image": "envoy:v1.30", "args": [] });
        containers.as_array_mut().unwrap().insert(0, other);
    });
    assert_eq!(found, [""; 0], "a sidecar needs no arguments");
    let found = with_kustomize(|deployment| {
        let containers = &mut deployment["spec"]["template"]["spec"]["containers"];
        let other = json!({ "name": "second", "image": "mirror.example.com:5000/kustomize-controller@sha256:0", "args": [] });
        containers.as_array_mut().unwrap().push(other);
    });
    assert_eq!(found.len(), 1, "{found:?}");
    assert!(found[0].contains("runs without"), "{found:?}");
    let found = with_container(|container| {
        container["image"] = json!("mirror.example.com/flux/k:v1.9.4");
        container["name"] = json!("main");
    });
    assert!(found[0].contains("none of its containers"), "{found:?}");
}

#[test]
fn a_shard_is_a_controller_too() {
    let mut deployments = all_locked();
    let mut shard = deployment(Controller::Kustomize, &[]);
    shard["metadata"]["name"] = json!("kustomize-controller-shard1");
    deployments.push(shard);
    let found = messages(&sight(deployments));
    assert_eq!(found.len(), 1, "{found:?}");
    assert!(found[0].starts_with("`kustomize-controller-shard1` runs without"));
}

#[test]
fn flux_must_be_recent_by_its_label_or_by_the_tags_of_its_images() {
    let label = "app.kubernetes.io/version";
    let cases = [
        (Some("v2.7.0"), "v1.0.0", ""),
        (Some("2.8.0-rc.1"), "v1.0.0", ""),
        (Some("v3.0.0"), "v1.0.0", ""),
        (Some("v2.6.4"), "v1.9.0", "`v2.6.4`, older than Flux 2.7"),
        (None, "v1.7.0", ""),
        (None, "v1.7.0@sha256:0123", ""),
        (None, "v1.6.1", "`v1.6.1`, older than Flux 2.7"),
        (None, "main", "cannot be told"),
        (Some("latest"), "latest", "cannot be told"),
        (Some("latest"), "v1.10.0", ""),
    ];
    for (version, tag, wrong) in cases {
        let found = with_kustomize(|deployment| {
            deployment["metadata"]["labels"][label] = json!(version);
            let container = &mut deployment["spec"]["template"]["spec"]["containers"][0];
            container["image"] = json!(format!("ghcr.io/fluxcd/kustomize-controller:{tag}"));
        });
        let found = found.concat();
        assert_eq!(
            found.is_empty(),
            wrong.is_empty(),
            "{version:?} {tag}: {found}"
        );
        assert!(found.contains(wrong), "{version:?} {tag}: {found}");
    }
    let mut deployments = all_locked();
    for deployment in &mut deployments[..2] {
        deployment["metadata"]["labels"][label] = json!("v2.6.4");
    }
    assert_eq!(
        messages(&sight(deployments)),
        ["`source-controller` and `kustomize-controller` are `v2.6.4`, older than Flux 2.7"]
    );
}

#[test]
fn what_cannot_be_seen_is_not_locked_down() {
    let forbidden = || "deployments.apps is forbidden".to_owned();
    let unseen = Sight {
        deployments: Err(forbidden()),
        served: Ok(served()),
    };
    assert_eq!(
        messages(&unseen),
        ["the Deployments in `flux-system` cannot be read: deployments.apps is forbidden"]
    );
    assert_eq!(gaps(&sight(Vec::new())), [Gap::NotInstalled]);
    let others = vec![json!({"metadata": {"name": "flux-web"}})];
    let found = messages(&sight(others));
    assert!(found[0].contains("no `source-controller`"), "{found:?}");
    assert!(found[1].contains("no `kustomize-controller`"), "{found:?}");
    let blind = Sight {
        deployments: Ok(all_locked()),
        served: Err(forbidden()),
    };
    assert_eq!(messages(&blind).len(), 1);
    let mut old = served();
    old.insert(
        "source.toolkit.fluxcd.io".to_owned(),
        ["v1beta2".to_owned()].into(),
    );
    let old = Sight {
        deployments: Ok(all_locked()),
        served: Ok(old),
    };
    assert_eq!(
        messages(&old),
        ["the cluster does not serve `source.toolkit.fluxcd.io/v1`"]
    );
}

#[test]
fn readiness_is_told_and_decides_nothing() {
    let cases: &[(&str, Value, &str)] = &[
        ("/status/readyReplicas", json!(0), "has 0 of 1 Pods ready"),
        ("/status/updatedReplicas", json!(0), "is being rolled out"),
        ("/metadata/generation", json!(2), "is being rolled out"),
        ("/spec/replicas", json!(0), "is scaled to no Pods"),
    ];
    for (path, value, said) in cases {
        let mut deployments = all_locked();
        *deployments[1].pointer_mut(path).unwrap() = value.clone();
        let standing = Standing::of(&sight(deployments), Lockdown::Require);
        assert_eq!(standing.gaps, []);
        assert_eq!(standing.unready, [format!("`kustomize-controller` {said}")]);
        assert!(!standing.shuts_out());
    }
}

#[test]
fn a_guard_is_weakened_from_the_next_merge_on() {
    let open = |policy| Standing {
        policy,
        gaps: vec![Gap::NotInstalled],
        unready: Vec::new(),
    };
    let (require, warn) = (Lockdown::Require, Lockdown::Warn);
    for (now, before, shuts_out) in [
        (require, require, true),
        (require, warn, true),
        (warn, require, true),
        (warn, warn, false),
    ] {
        let policy = Policy::of(now).after(before);
        assert_eq!(open(policy).shuts_out(), shuts_out, "{before} then {now}");
    }
}
