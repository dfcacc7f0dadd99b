//! The schema takes what the reader's shape takes, and the other way round.

use std::sync::LazyLock;

use jsonschema::Validator;
use proptest::prelude::{
    BoxedStrategy, Just, ProptestConfig, Strategy, any, prop, prop_oneof, proptest,
};
use serde_json::{Map, Value, json};

use super::{FULL, read, shown};
use crate::tenants::format::Format;
use crate::tenants::keys::{FILE, Key, Presence, Shape, Table};
use crate::tenants::rules::RULES;
use crate::tenants::{schema, shape, tree};

/// Made once: compiling its patterns takes longer than any use.
static VALIDATOR: LazyLock<Validator> =
    LazyLock::new(|| jsonschema::validator_for(&schema()).unwrap());

fn is_well_shaped(text: &str) -> bool {
    let mut findings = Vec::new();
    if let Some(root) = tree::read(text, &mut findings) {
        shape::check(&root, &FILE, &mut findings);
    }
    findings.is_empty()
}

#[test]
fn the_schema_is_one_of_draft_7() {
    assert!(jsonschema::draft7::meta::is_valid(&schema()));
}

#[test]
fn the_full_example_is_valid_for_the_schema() {
    let file: Value = serde_yaml::from_str(FULL).unwrap();
    assert!(VALIDATOR.is_valid(&file));
}

#[test]
fn every_key_is_explained() {
    let mut tables = vec![&FILE];
    while let Some(table) = tables.pop() {
        for key in table.all() {
            assert!(key.doc.ends_with('.'), "{}.{}", table.what, key.name);
            tables.extend(table_of(&key.shape));
        }
    }
}

fn table_of(shape: &'static Shape) -> Option<&'static Table> {
    match shape {
        Shape::Map(table) => Some(table),
        Shape::List(items) => table_of(items),
        Shape::Bool | Shape::Count | Shape::Text(_) | Shape::Word(_) | Shape::Entries(_) => None,
    }
}

#[test]
fn built_in_defaults_have_their_keys_shape() {
    let mut tables = vec![&FILE];
    while let Some(table) = tables.pop() {
        for key in table.all() {
            if let (Presence::Default(default), Shape::Text(format)) = (key.presence, &key.shape) {
                assert_eq!(format.check(default), Ok(()), "{}", key.name);
            }
            tables.extend(table_of(&key.shape));
        }
    }
}

/// One file for each rule that no schema can express, in the order of `RULES`.
const BEYOND_THE_SCHEMA: &[&str] = &[
    "organization: other\ntenants: []",
    "tenants: [{name: a}, {name: a}]",
    "tenants: [{name: a}, {name: b, renamedFrom: a}]",
    "tenants: [{name: a-name-of-thirty-one-characters, repository: {name: '{tenant}-{tenant}-{tenant}-{tenant}'}}]",
    "tenants: [{name: a}, {name: b, repository: {name: A-workspace}}]",
    "tenants: [{name: a, repository: {name: workspace-admin}}]",
    "tenants: [{name: a, githubTeams: [{name: t}, {name: t}]}]",
    "tenants: [{name: a, groupName: 'system:{team}', githubTeams: [{name: t}]}]",
    "tenants: [{name: a, namespaces: [{name: n}]}, {name: b, namespaces: [{name: n}]}]",
    "tenants: [{name: a, namespaces: [{name: kube-system}]}]",
    "tenants: [{name: a, githubTeams: [{name: t, namespaces: [n]}]}]",
    "tenants: [{name: a, additionalRoleBindings: [{clusterRole: view, subjects: [], namespaces: [n]}]}]",
    "tenants: [{name: a, additionalRoleBindings: [{clusterRole: view, subjects: [{kind: Group, name: 'system:masters'}]}]}]",
    "tenants: [{name: a, additionalRoleBindings: [{clusterRole: view, subjects: [{kind: ServiceAccount, name: s}]}]}]",
];

#[test]
fn only_the_rules_go_beyond_the_schema() {
    assert_eq!(BEYOND_THE_SCHEMA.len(), RULES.len());
    for text in BEYOND_THE_SCHEMA {
        let file: Value = serde_yaml::from_str(text).unwrap();
        assert!(VALIDATOR.is_valid(&file), "{text}");
        let findings = read(text).findings;
        assert_eq!(findings.len(), 1, "{text}\n{}", shown(text, &findings));
    }
}

const FORMATS: &[Format] = &[
    Format::Line,
    Format::Login,
    Format::TenantName,
    Format::NamespaceName,
    Format::NamespaceOrAll,
    Format::NamespacePattern,
    Format::TeamSlug,
    Format::BranchName,
    Format::FullName,
    Format::RepositoryName,
    Format::GroupName,
    Format::Directory,
    Format::Period,
    Format::Interval,
    Format::ClusterRole,
    Format::SubjectName,
    Format::Quantity,
    Format::QuotaResource,
    Format::ContainerResource,
    Format::LabelKey,
    Format::AnnotationKey,
    Format::LabelValue,
    Format::AnyText,
];

/// Texts at the edges of the formats; each is tried with every format.
const EDGES: &[&str] = &[
    "allowed.tenantry.dev/registries",
    "allowed.tenantry.dev/registry",
    "",
    " ",
    "a",
    "-",
    "a-",
    "-a",
    "A",
    "0",
    "*",
    "a*",
    ".",
    "..",
    "...",
    "./",
    "/",
    "/a",
    "a/",
    "a//b",
    "a/../b",
    "../a",
    "a/..",
    "..a",
    "a..b",
    ".git",
    "a.git",
    "a.GIT",
    ".git/x",
    "x/.Git",
    "x.git/y",
    "a/b",
    "a/b/c",
    "a/.b",
    "a.lock",
    "a.lock/b",
    "locks",
    "{tenant}",
    "{org}",
    "{team}",
    "{x}",
    "{",
    "}",
    "{{tenant}}",
    "{tenant}.git",
    "a{tenant}b",
    "system:x",
    "cluster-admin",
    "cluster-admins",
    "admin",
    "a:b",
    "1s",
    "0s",
    "00s",
    "1d2h3m4s",
    "1m1h",
    "1h1h",
    "1",
    "s",
    "9999d",
    "10000d",
    "999999h",
    "1000000h",
    "0d0h",
    "0d1h",
    "1.5",
    ".5",
    "5.",
    ".",
    "1.2.3",
    "1Ki",
    "1ki",
    "1k",
    "1K",
    "1Gi",
    "1e3",
    "1E3",
    "1E",
    "1e",
    "1e+3",
    "1e-3",
    "1e1000",
    "1e3Gi",
    "1Ei",
    "1Em",
    "+1",
    "-1",
    "1 Gi",
    "100m",
    "cpu",
    "requests.cpu",
    "hugepages-2Mi",
    "requests.hugepages-2Mi",
    "limits.hugepages-2Mi",
    "hugepages-",
    "hugepages-Mi",
    "hugepages-2M",
    "count/jobs.batch",
    "acme.com/gpu",
    "Acme.com/gpu",
    "acme..com/gpu",
    "-acme/gpu",
    "acme-/gpu",
    "app.kubernetes.io/managed-by",
    "app.kubernetes.io/managed-by2",
    "app.kubernetes.io/name",
    "tenantry.dev/x",
    "tenantry.dev/",
    "xtenantry.dev/x",
    "kustomize.toolkit.fluxcd.io/a",
    "toolkit.fluxcd.io/tenant",
    "a_b",
    "a.b",
    "_a",
    "a\nb",
    "a\n",
    "\n",
    "a\u{7f}",
    "a\u{85}",
    "a\u{2028}b",
    "ü",
    "a b",
    "a@b.c",
    "a\\b",
    "'",
    "\"",
];

/// The schema of each format, in the order of `FORMATS`.
static PATTERNS: LazyLock<Vec<Validator>> = LazyLock::new(|| {
    let validator = |format: &Format| {
        let mut schema = format.schema();
        schema["type"] = json!("string");
        jsonschema::validator_for(&schema).unwrap()
    };
    FORMATS.iter().map(validator).collect()
});

fn all_formats_agree(text: &str) {
    for (format, pattern) in FORMATS.iter().zip(PATTERNS.iter()) {
        let by_reader = format.check(text);
        let by_schema = pattern.is_valid(&json!(text));
        assert_eq!(
            by_schema,
            by_reader.is_ok(),
            "{format:?} {text:?} {by_reader:?}"
        );
    }
}

#[test]
fn patterns_and_checks_agree_at_the_edges() {
    for text in EDGES {
        all_formats_agree(text);
    }
    let lengths = [
        39, 40, 50, 51, 63, 64, 100, 101, 200, 201, 253, 254, 255, 256, 350, 351,
    ];
    for length in lengths {
        all_formats_agree(&"a".repeat(length));
        all_formats_agree(&"ü".repeat(length));
        all_formats_agree(&format!("{}/a", "a".repeat(length)));
        all_formats_agree(&format!("a/{}", "a".repeat(length)));
        all_formats_agree(&"{org}".repeat(length));
    }
}

fn text() -> impl Strategy<Value = String> {
    let signs: Vec<&str> =
        "a b z A 0 1 9 - . _ / : { } * m h d s G i e E {org} {tenant} {team} .. .git .lock @ + ü"
            .split(' ')
            .chain([" ", "\n"])
            .collect();
    let mixed = prop::collection::vec(prop::sample::select(signs), 0..8);
    prop_oneof![
        mixed.prop_map(|signs| signs.concat()),
        prop::sample::select(EDGES).prop_map(str::to_owned)
    ]
}

/// A value for the shape, which is right more often than not.
fn value(shape: &'static Shape) -> BoxedStrategy<Value> {
    let right = match shape {
        Shape::Bool => any::<bool>().prop_map(Value::from).boxed(),
        Shape::Count => (0..9_u32).prop_map(Value::from).boxed(),
        Shape::Text(format) => text_of(*format),
        Shape::Word(words) => prop::sample::select(*words).prop_map(Value::from).boxed(),
        Shape::Map(table) => map(table),
        Shape::Entries(entries) => {
            let pair = (
                text_of(entries.key),
                prop_oneof![4 => text_of(entries.value), 1 => Just(Value::Null)],
            );
            let pair =
                pair.prop_map(|(key, value)| (key.as_str().unwrap_or("x").to_owned(), value));
            prop::collection::vec(pair, 0..3)
                .prop_map(|pairs| Value::Object(pairs.into_iter().collect()))
                .boxed()
        }
        Shape::List(items) => prop::collection::vec(value(items), 0..3)
            .prop_map(Value::from)
            .boxed(),
    };
    prop_oneof![60 => right, 1 => junk()].boxed()
}

fn text_of(format: Format) -> BoxedStrategy<Value> {
    let right: Vec<&str> = EDGES
        .iter()
        .copied()
        .filter(|text| format.check(text).is_ok())
        .collect();
    let right = prop::sample::select(right).prop_map(Value::from);
    prop_oneof![40 => right, 1 => text().prop_map(Value::from)].boxed()
}

fn junk() -> BoxedStrategy<Value> {
    let junk = [
        json!(null),
        json!(true),
        json!("yes"),
        json!(7),
        json!(1.5),
        json!(-3),
        json!([]),
        json!({}),
        json!([null]),
        json!({"x": 1}),
    ];
    prop::sample::select(junk.to_vec()).boxed()
}

fn map(table: &'static Table) -> BoxedStrategy<Value> {
    let pairs: Vec<_> = table.all().map(pair).collect();
    let stranger = prop_oneof![60 => Just(None), 1 => text().prop_map(|key| Some((key, json!(1))))];
    (pairs, stranger)
        .prop_map(|(pairs, stranger)| {
            let pairs = pairs.into_iter().chain([stranger]).flatten();
            Value::Object(pairs.collect::<Map<_, _>>())
        })
        .boxed()
}

fn pair(key: &'static Key) -> BoxedStrategy<Option<(String, Value)>> {
    let absent = if key.presence == Presence::Required {
        1
    } else {
        120
    };
    let value = value(&key.shape).prop_map(|value| Some((key.name.to_owned(), value)));
    let empty = Just(Some((key.name.to_owned(), Value::Null)));
    prop_oneof![absent => Just(None), 60 => value, 1 => empty].boxed()
}

proptest! {
    #[test]
    fn patterns_and_checks_agree(text in text()) {
        all_formats_agree(&text);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn the_schema_and_the_reader_agree_on_whole_files(file in map(&FILE)) {
        // YAML takes no raw control characters, JSON does.
        let text = file.to_string().replace('\u{7f}', "\\u007f").replace('\u{85}', "\\u0085");
        let by_schema = VALIDATOR.is_valid(&file);
        let mut findings = Vec::new();
        let root = tree::read(&text, &mut findings).unwrap();
        shape::check(&root, &FILE, &mut findings);
        assert_eq!(by_schema, findings.is_empty(), "{text}\n{}", shown(&text, &findings));
    }
}

#[test]
fn bad_shapes_are_bad_for_both() {
    for text in [
        "{}",
        "[]",
        "null",
        "tenants: {}",
        "tenants: [null]",
        "tenants: [{}]",
        "tenants: [{name: 1}]",
        "tenants: []\nx: 1",
        "tenants: [{name: a, namespaces: [{name: n, quota: {pods: -1}}]}]",
        "tenants: [{name: a, namespaces: [{name: n, labels: {a: 1}}]}]",
        "maxRemovalsPerMerge: 1.5\ntenants: []",
        "maxRemovalsPerMerge: -1\ntenants: []",
        "defaults: {repository: {adopt: true}}\ntenants: []",
        "defaults: {namespace: {adopt: true}}\ntenants: []",
    ] {
        let file: Value = serde_yaml::from_str(text).unwrap();
        assert!(
            !VALIDATOR.is_valid(&file) && !is_well_shaped(text),
            "{text}"
        );
    }
}
