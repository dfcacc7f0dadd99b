use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::{
    Cluster, Decision, Folder, Found, Key, Plan, Rules, Secret, Step, Wanted, Workspace, decide,
    is_flux_alone,
};
use crate::flux::components::{self, Components};
use crate::object::Visibility;

/// What is otherwise than [`found`] has it.
type Change = fn(&mut Found);

const KEY: &str =
    "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAABAgMEBQYHCAkKCwwNDg8QERITFBUWFxgZGhscHR4f";

fn text(version: &str) -> String {
    let deployment = |name: &str| {
        json!({
            "apiVersion": "apps/v1",
            "kind": "Deployment",
            "metadata": {
                "name": name,
                "namespace": "flux-system",
                "labels": { "app.kubernetes.io/part-of": "flux", "app.kubernetes.io/version": version },
            },
            "spec": { "template": { "spec": { "containers": [{
                "name": "manager", "image": format!("{name}:v1.9.0"), "args": [],
            }] } } },
        })
    };
    let definition = |group: &str, plural: &str| {
        json!({
            "apiVersion": "apiextensions.k8s.io/v1",
            "kind": "CustomResourceDefinition",
            "metadata": { "name": format!("{plural}.{group}") },
            "spec": { "group": group, "versions": [{ "name": "v1", "served": true }] },
        })
    };
    let objects = [
        json!({ "apiVersion": "v1", "kind": "Namespace", "metadata": { "name": "flux-system" } }),
        definition("source.toolkit.fluxcd.io", "gitrepositories"),
        definition("kustomize.toolkit.fluxcd.io", "kustomizations"),
        deployment("source-controller"),
        deployment("kustomize-controller"),
    ];
    objects
        .iter()
        .map(|object| format!("---\n{}", serde_yaml::to_string(object).unwrap()))
        .collect()
}

fn wanted(version: &str) -> Wanted {
    Wanted {
        repository: "acme/workspace-admin".parse().unwrap(),
        branch: "main".parse().unwrap(),
        folder: "kubernetes".parse().unwrap(),
        git_host: "github.com".to_owned(),
        cluster: "default".to_owned(),
        app: Some(7),
        components: Components::read(&text(version)).unwrap(),
    }
}

/// Everything is there, and Flux has applied itself.
fn found() -> Found {
    let wanted = wanted("v2.9.4");
    let [components, sync, kustomization] = wanted.paths();
    let files = BTreeMap::from([
        (components, wanted.components.text.clone()),
        (sync, components::sync_file(&wanted.source(), None).unwrap()),
        (
            kustomization,
            components::kustomization_file(None).unwrap().unwrap(),
        ),
    ]);
    let [source, mut sync] = components::sync(&wanted.source());
    sync["status"] = json!({ "lastAppliedRevision": "main@sha1:0123" });
    let objects = wanted.components.objects.iter();
    let deployments = objects.filter(|object| object["kind"] == "Deployment");
    Found {
        workspace: Some(Workspace {
            visibility: Visibility::Private,
            archived: false,
            is_empty: false,
            tip: Some("0123".to_owned()),
            files,
            keys: vec![Key {
                title: "tenantry/default/flux-system".to_owned(),
                public: KEY.to_owned(),
                read_only: true,
            }],
            rules: Rules::PullRequests,
        }),
        cluster: Cluster {
            deployments: deployments.cloned().collect(),
            present: wanted.components.objects.clone(),
            has_instance: false,
            source: Some(source),
            sync: Some(sync),
            secret: Secret::Key(format!("{KEY} a comment")),
        },
    }
}

fn plan(wanted: &Wanted, found: &Found) -> Plan {
    match decide(wanted, found).unwrap() {
        Decision::Work(plan) => plan,
        Decision::Foreign(keeper) => panic!("kept by {keeper}"),
    }
}

fn changed(change: impl FnOnce(&mut Found)) -> Found {
    let mut found = found();
    change(&mut found);
    found
}

fn workspace(found: &mut Found) -> &mut Workspace {
    found.workspace.as_mut().unwrap()
}

fn sync(found: &mut Found) -> &mut Value {
    found.cluster.sync.as_mut().unwrap()
}

fn described(wanted: &Wanted, found: &Found) -> Vec<String> {
    let plan = plan(wanted, found);
    plan.steps
        .iter()
        .map(|step| step.describe(wanted))
        .collect()
}

#[test]
fn from_nothing_to_everything() {
    let wanted = wanted("v2.9.4");
    let steps = described(&wanted, &Found::default());
    insta::assert_snapshot!(steps.join("\n"), @"
    create the private repository acme/workspace-admin
    commit README.md to main, so that there is a branch
    commit to main: Add Flux v2.9.4, locked down (kubernetes/flux-system/gotk-components.yaml, kubernetes/flux-system/gotk-sync.yaml, kubernetes/flux-system/kustomization.yaml)
    protect main: it changes by approved pull requests alone; owners of the organisation and this App are above that
    apply Flux v2.9.4 to the cluster, locked down: 5 objects
    make a key pair and keep it in the Secret flux-system/flux-system
    register its public half as a read-only deploy key of acme/workspace-admin
    have Flux keep itself from ./kubernetes of acme/workspace-admin: GitRepository and Kustomization flux-system/flux-system
    ");
}

#[test]
fn where_everything_is_there_nothing_is_to_be_done() {
    let plan = plan(&wanted("v2.9.4"), &found());
    assert_eq!((plan.steps, plan.notes), (vec![], vec![]));
}

#[test]
fn an_upgrade_is_one_commit_of_one_file() {
    let wanted = wanted("v2.9.5");
    assert_eq!(
        described(&wanted, &found()),
        [
            "commit to main: Upgrade Flux from v2.9.4 to v2.9.5 (kubernetes/flux-system/gotk-components.yaml)"
        ]
    );
}

/// Each state that a crash leaves behind leads on to the end.
#[test]
fn what_is_missing_is_made_and_nothing_else() {
    type Change = fn(&mut Found);
    let cases: &[(&str, Change, &[Step])] = &[
        (
            "the repository was made",
            |found| {
                let workspace = workspace(found);
                workspace.is_empty = true;
                workspace.tip = None;
            },
            &[Step::FirstCommit],
        ),
        (
            "no rules yet",
            |found| workspace(found).rules = Rules::None,
            &[Step::Protect],
        ),
        (
            "the key was not registered",
            |found| workspace(found).keys.clear(),
            &[Step::DeployKey],
        ),
        (
            "the Secret is gone",
            |found| found.cluster.secret = Secret::Absent,
            &[Step::Credentials, Step::DeployKey],
        ),
        (
            "Flux has not applied itself",
            |found| sync(found)["status"] = json!({}),
            &[Step::Apply, Step::Sync],
        ),
        (
            "the sync is not there",
            |found| {
                found.cluster.sync = None;
                found.cluster.source = None;
            },
            &[Step::Apply, Step::Sync],
        ),
        (
            "the source is gone",
            |found| found.cluster.source = None,
            &[Step::Sync],
        ),
    ];
    for (what, change, steps) in cases {
        let plan = plan(&wanted("v2.9.4"), &changed(change));
        assert_eq!(plan.steps, *steps, "{what}");
    }
}

#[test]
fn only_what_flux_cannot_bring_back_itself_is_put_back() {
    let gone = |names: &[&str]| {
        let found = changed(|found| {
            let is_gone =
                |object: &Value| names.contains(&object["metadata"]["name"].as_str().unwrap());
            found.cluster.present.retain(|object| !is_gone(object));
            found.cluster.deployments.retain(|object| !is_gone(object));
        });
        described(&wanted("v2.9.4"), &found)
    };
    insta::assert_snapshot!(
        gone(&["source-controller", "gitrepositories.source.toolkit.fluxcd.io", "flux-system", "helm-controller"]).concat(),
        @"put back what is gone of Flux on the cluster: Namespace flux-system, CustomResourceDefinition gitrepositories.source.toolkit.fluxcd.io, Deployment source-controller"
    );
    assert!(gone(&["helm-controller"]).is_empty());
}

/// Flux takes it from Git, in its own order.
#[test]
fn what_an_upgrade_adds_is_not_put_back_before_it_was_there() {
    let found = changed(|found| {
        let (committed, _) = text("v2.9.4")
            .split_once("---\napiVersion: apps/v1")
            .map(|(a, b)| (a.to_owned(), b.to_owned()))
            .unwrap();
        let file = "kubernetes/flux-system/gotk-components.yaml".to_owned();
        workspace(found).files.insert(file, committed);
        found
            .cluster
            .present
            .retain(|object| object["kind"] != "Deployment");
    });
    let steps = plan(&wanted("v2.9.4"), &found).steps;
    assert!(matches!(&steps[..], [Step::Commit(_)]), "{steps:?}");
}

#[test]
fn what_others_have_set_is_not_flux_alone() {
    let by = |managers: &[&str]| {
        let fields: Vec<_> = managers
            .iter()
            .map(|name| json!({ "manager": name }))
            .collect();
        is_flux_alone(&json!({ "metadata": { "managedFields": fields } }))
    };
    assert!(by(&[]));
    assert!(by(&[
        "flux",
        "kustomize-controller",
        "kube-controller-manager"
    ]));
    assert!(!by(&["flux", "kubectl-edit"]));
    let status = json!([{ "manager": "kube-apiserver", "subresource": "status" }]);
    assert!(is_flux_alone(
        &json!({ "metadata": { "managedFields": status } })
    ));
}

#[test]
fn files_that_lack_something_are_corrected_in_one_commit() {
    let found = changed(|found| {
        workspace(found)
            .files
            .retain(|path, _| path.ends_with("gotk-components.yaml"));
    });
    assert_eq!(
        described(&wanted("v2.9.4"), &found),
        [
            "commit to main: Correct the manifests of Flux v2.9.4 (kubernetes/flux-system/gotk-sync.yaml, kubernetes/flux-system/kustomization.yaml)"
        ]
    );
}

#[test]
fn what_an_administrator_should_know_is_noted() {
    let notes = |change: Change| plan(&wanted("v2.9.4"), &changed(change)).notes.concat();
    let cases: &[(&str, Change)] = &[
        ("can be pushed to directly", |found| {
            workspace(found).rules = Rules::NotInPlan;
        }),
        ("is public", |found| {
            workspace(found).visibility = Visibility::Public;
        }),
        ("may write", |found| {
            workspace(found).keys[0].read_only = false;
        }),
        ("not the one in this cluster's Secret", |found| {
            let before = workspace(found).keys[0].clone();
            workspace(found).keys.push(Key {
                public: "ssh-ed25519 AAAA".to_owned(),
                ..before
            });
        }),
    ];
    for (said, change) in cases {
        let notes = notes(*change);
        assert!(notes.contains(said), "{said}: {notes}");
    }
}

#[test]
fn a_flux_that_somebody_else_keeps_is_left_alone() {
    let cases: &[(&str, Change)] = &[
        ("flux-operator", |found| found.cluster.has_instance = true),
        ("`Helm`", |found| {
            found.cluster.deployments[0]["metadata"]["labels"]["app.kubernetes.io/managed-by"] =
                json!("Helm");
        }),
        ("`flux-operator`", |found| {
            found.cluster.present[1]["metadata"]["labels"] =
                json!({ "app.kubernetes.io/managed-by": "flux-operator" });
        }),
        ("acme/fleet", |found| {
            found.cluster.source.as_mut().unwrap()["spec"]["url"] =
                json!("ssh://git@github.com/acme/fleet");
        }),
        ("https://github.com/acme/workspace-admin", |found| {
            found.cluster.source.as_mut().unwrap()["spec"]["url"] =
                json!("https://github.com/acme/workspace-admin");
        }),
        ("branch `next`", |found| {
            found.cluster.source.as_mut().unwrap()["spec"]["ref"]["branch"] = json!("next");
        }),
        ("OCIRepository", |found| {
            sync(found)["spec"]["sourceRef"]["kind"] = json!("OCIRepository");
        }),
        ("`kubectl-client-side-apply`", |found| {
            found.cluster.sync = None;
            found.cluster.deployments[0]["metadata"]["managedFields"] = json!([
                { "manager": "kubectl-client-side-apply" },
                { "manager": "kube-controller-manager", "subresource": "status" },
            ]);
        }),
    ];
    for (keeper, change) in cases {
        match decide(&wanted("v2.9.4"), &changed(change)).unwrap() {
            Decision::Foreign(found) => assert!(found.contains(keeper), "{keeper}: {found}"),
            Decision::Work(plan) => panic!("{keeper}: {plan:?}"),
        }
    }
}

#[test]
fn a_flux_of_an_earlier_run_is_not_somebody_elses() {
    let found = changed(|found| {
        found.cluster.sync = None;
        found.cluster.source.as_mut().unwrap()["spec"]["url"] = json!("anything");
        found.cluster.deployments[0]["metadata"]["managedFields"] =
            json!([{ "manager": "flux" }, { "manager": "kubectl", "subresource": "scale" }]);
    });
    assert_eq!(
        plan(&wanted("v2.9.4"), &found).steps,
        [Step::Apply, Step::Sync]
    );
}

#[test]
fn the_same_repository_by_another_spelling_is_the_same() {
    let found = changed(|found| {
        found.cluster.source.as_mut().unwrap()["spec"]["url"] =
            json!("ssh://git@github.com/ACME/workspace-admin");
        sync(found)["spec"]["path"] = json!("kubernetes/");
    });
    assert_eq!(plan(&wanted("v2.9.4"), &found).steps, []);
}

#[test]
fn what_would_do_harm_is_refused() {
    let cases: &[(&str, Change)] = &[
        ("give `--path ./clusters/prod`", |found| {
            sync(found)["spec"]["path"] = json!("./clusters/prod");
        }),
        ("is suspended", |found| {
            sync(found)["spec"]["suspend"] = json!(true);
        }),
        ("run `flux migrate`", |found| {
            found.cluster.present[1]["status"] = json!({ "storedVersions": ["v1beta2", "v1"] });
        }),
        ("is archived", |found| workspace(found).archived = true),
        ("has no branch `main`", |found| workspace(found).tip = None),
        ("holds no SSH key pair", |found| {
            found.cluster.secret = Secret::Other;
        }),
        ("settings of its own", |found| {
            let file = "kubernetes/flux-system/kustomization.yaml".to_owned();
            workspace(found)
                .files
                .insert(file, "patches: [{patch: 'a: 1'}]".to_owned());
        }),
    ];
    for (said, change) in cases {
        let refused = decide(&wanted("v2.9.4"), &changed(change)).unwrap_err().0;
        assert!(refused.contains(said), "{said}: {refused}");
    }
}

#[test]
fn a_folder_is_one_in_the_repository() {
    for (text, file) in [
        ("kubernetes", "kubernetes/flux-system/a"),
        ("./clusters/prod/", "clusters/prod/flux-system/a"),
        ("./", "flux-system/a"),
        (".", "flux-system/a"),
    ] {
        assert_eq!(text.parse::<Folder>().unwrap().file("a"), file);
    }
    for text in ["/etc", "../other", "a/../b", "a//b", "a b", ".git"] {
        assert!(text.parse::<Folder>().is_err(), "{text}");
    }
}
