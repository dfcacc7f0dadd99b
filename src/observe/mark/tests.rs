use proptest::prelude::*;
use serde_json::{Value, json};

use super::Mark;
use crate::object::{Kind, ManifestId, Object, ObjectId};
use crate::observed::Sighting;
use crate::plan::fields;
use crate::plan::tests::strategy::tenant;
use crate::plan::tests::world::{World, desired};
use crate::tenants::Tenant;

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Whatever is recognised would also be found the same by comparing it field by field.
    #[test]
    fn what_is_recognised_does_not_differ(before in tenant(), mut after in tenant()) {
        after.name = before.name.clone();
        for (id, differs, recognised) in compared(&before, &after) {
            prop_assert!(!(recognised && differs), "{id:?}");
        }
    }

    /// All but what the server spells in another way, as it does with `1000m`.
    #[test]
    fn what_was_applied_is_recognised(tenant in tenant()) {
        let missed = compared(&tenant, &tenant).into_iter().filter(|(_, _, recognised)| !recognised);
        let spelt: Vec<_> = missed.map(|(id, ..)| id.kind).filter(|kind| !has_quantities(*kind)).collect();
        prop_assert_eq!(spelt, Vec::<Kind>::new());
    }
}

fn has_quantities(kind: Kind) -> bool {
    matches!(kind, Kind::LimitRange | Kind::ResourceQuota | Kind::Tenant)
}

/// Every object that is there after `before` was applied and that `after` wants: whether its fields differ, and whether
/// it is recognised.
fn compared(before: &Tenant, after: &Tenant) -> Vec<(ManifestId, bool, bool)> {
    let (world, wanted) = (World::with(before), desired(after));
    let sightings = world.observed(&wanted).sightings;
    let compare = |(id, sighting): (ObjectId, Sighting)| match (id, sighting) {
        (ObjectId::Manifest(id), Sighting::Present { object, .. }) => {
            let to = wanted.objects.get(&ObjectId::Manifest(id.clone()))?;
            let (Object::Manifest(found), Object::Manifest(manifest)) = (&object, to) else {
                return None;
            };
            let differs = !fields::between(&object, to).is_empty();
            let recognised = Mark::of_found(&id, found) == Some(Mark::of_wanted(&id, manifest));
            Some((id, differs, recognised))
        }
        _ => None,
    };
    sightings.into_iter().filter_map(compare).collect()
}

fn id() -> ManifestId {
    ManifestId {
        kind: Kind::ResourceQuota,
        namespace: Some("ai".to_owned()),
        name: "quota".to_owned(),
    }
}

fn wanted() -> Value {
    json!({
        "apiVersion": "v1",
        "kind": "ResourceQuota",
        "metadata": { "name": "quota", "namespace": "ai", "labels": { "b": "1", "a": "2" }, "annotations": {} },
        "spec": { "hard": { "pods": "5" }, "list": [{ "y": 1, "x": 2 }], "empty": {} },
    })
}

/// As the server answers: keys in another order, with what it and others added.
fn found() -> Value {
    json!({
        "metadata": {
            "annotations": { "theirs": "x" },
            "labels": { "a": "2", "b": "1", "theirs": "x" },
            "managedFields": [
                { "manager": "kubectl", "operation": "Update", "fieldsV1": { "f:metadata": { "f:labels": { "f:theirs": {} } } } },
                { "manager": "tenantry", "operation": "Apply", "fieldsV1": {
                    "f:metadata": { "f:labels": { ".": {}, "f:a": {}, "f:b": {} } },
                    "f:spec": { "f:hard": { "f:pods": {} }, "f:list": {}, "f:empty": {} },
                } },
            ],
            "name": "quota",
            "namespace": "ai",
            "uid": "7",
        },
        "spec": { "empty": {}, "hard": { "pods": "5" }, "list": [{ "x": 2, "y": 1 }], "theirs": true },
        "status": { "used": {} },
        "kind": "ResourceQuota",
        "apiVersion": "v1",
    })
}

#[test]
fn what_others_added_does_not_matter() {
    let mut wanted = wanted();
    wanted["metadata"]
        .as_object_mut()
        .unwrap()
        .remove("annotations");
    let mark = Mark::of_wanted(&id(), &wanted);
    assert_eq!(Mark::of_found(&id(), &found()), Some(mark));
}

#[test]
fn whatever_of_ours_is_otherwise_is_not_recognised() {
    let mut wanted = wanted();
    wanted["metadata"]
        .as_object_mut()
        .unwrap()
        .remove("annotations");
    let mark = Mark::of_wanted(&id(), &wanted);
    let edits: &[fn(&mut Value)] = &[
        |found| found["metadata"]["labels"]["a"] = json!("3"),
        |found| found["spec"]["hard"]["pods"] = json!(5),
        |found| found["spec"]["list"] = json!([]),
        |found| found["spec"]["list"][0]["z"] = json!(1),
        |found| {
            found["metadata"]["labels"]
                .as_object_mut()
                .unwrap()
                .remove("b");
        },
        // Somebody else has taken the field over, though its value is the same.
        |found| {
            found
                .pointer_mut("/metadata/managedFields/1/fieldsV1/f:spec")
                .and_then(Value::as_object_mut)
                .unwrap()
                .remove("f:hard");
        },
        // We wanted more before.
        |found| {
            found["metadata"]["managedFields"][1]["fieldsV1"]["f:spec"]["f:theirs"] = json!({});
        },
        |found| found["metadata"]["managedFields"] = json!([]),
    ];
    for (index, edit) in edits.iter().enumerate() {
        let mut found = found();
        edit(&mut found);
        assert_ne!(Mark::of_found(&id(), &found), Some(mark), "edit {index}");
    }
}

#[test]
fn objects_of_other_names_have_other_marks() {
    let other = ManifestId {
        name: "other".to_owned(),
        ..id()
    };
    assert_ne!(
        Mark::of_wanted(&id(), &wanted()),
        Mark::of_wanted(&other, &wanted())
    );
}
