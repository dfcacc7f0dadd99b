//! The app has the rights that it needs and no other: each verb of each rule in deploy/rbac.yaml is taken away in turn,
//! and then something fails.
//!
//! Each time the app runs as a user of its own who has all the rules but for that one verb, in a world where there is
//! something to do for each of them. What it is refused must reach somebody: in the check, in `/readyz`, or as a warning
//! in the log.

use std::fs;
use std::time::{Duration, Instant};

use futures::StreamExt as _;
use serde::Deserialize as _;
use serde_json::{Value, json};

use crate::support::World;

/// A tenant of which nothing is there yet, and one of which an earlier life of the app left something.
const TENANTS: &str = "
tenants:
- name: fresh%
  githubTeams: [{name: ai-team}, {name: billing-team, role: edit}, {name: payments, role: view}]
  namespaces: [{name: fresh%, quota: {pods: '10'}, limits: {default: {memory: 256Mi}}}]
- name: begun%
  namespaces: [{name: begun%, quota: {pods: '10'}, limits: {default: {memory: 256Mi}}}]
";

/// What is left: two namespaces, and in one of them a key.
const LEFT: &str = "
apiVersion: v1
kind: List
items:
- apiVersion: v1
  kind: Namespace
  metadata: {name: begun%, labels: &ours {app.kubernetes.io/managed-by: tenantry, app.kubernetes.io/instance: begun%, toolkit.fluxcd.io/tenant: begun%}}
- {apiVersion: v1, kind: Namespace, metadata: {name: tenant-begun%, labels: *ours}}
- apiVersion: v1
  kind: Secret
  metadata: {name: git-auth, namespace: tenant-begun%, labels: *ours}
  stringData: {identity: nobody needs it here, identity.pub: KEY}
";

const LEFT_KEY: &str =
    "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAABAgMEBQYHCAkKCwwNDg8QERITFBUWFxgZGhscHR4f";

/// Worlds at a time.
const AT_ONCE: usize = 6;

/// The app takes this long to find out, at most.
const PATIENCE: Duration = Duration::from_secs(30);

/// One verb of one rule, for one resource and, where the rule names some, for one name.
#[derive(Debug, Clone)]
struct Right {
    group: String,
    resource: String,
    name: Option<String>,
    verb: String,
}

impl Right {
    /// Whether somebody who reads this learns that it is missing.
    fn is_missed(&self, told: &str) -> bool {
        let says = |words: &str| told.contains(words);
        let group = Some(&self.group).filter(|group| !group.is_empty());
        let kind = group.map_or(self.resource.clone(), |group| {
            format!("{}.{group}", self.resource)
        });
        match (self.verb.as_str(), self.name.as_deref()) {
            // What one may not bind is found out by whoever creates a binding.
            ("bind", Some("tenantry-control")) => says("\"tenantry-control\" is forbidden: user"),
            ("bind", Some("admin")) => says("\"admin-reconciler\" is forbidden: user"),
            ("bind", Some(role)) => says(&format!("-{role}\" is forbidden: user")),
            // A Secret that cannot be read is taken for one in a namespace without the app's rights: for none.
            ("get", None) if self.resource == "secrets" => says("secrets/git-auth: Apply failed"),
            // Server-side apply of what is not there: older servers do not say what exactly was missing.
            ("create", None) if is_forbidden(&kind, told) => true,
            (verb, _) => says(&format!("cannot {verb} resource \"{}\"", self.resource)),
        }
    }
}

/// Whether an object of this kind was forbidden: `limitranges "tenant-defaults" is forbidden`.
fn is_forbidden(kind: &str, told: &str) -> bool {
    let beginning = format!(": {kind} \"");
    let named = told.split(&beginning).skip(1);
    named
        .filter_map(|rest| rest.split_once('"'))
        .any(|(_, rest)| rest.starts_with(" is forbidden"))
}

/// The rules of all roles in deploy/rbac.yaml, taken apart.
fn rights() -> Vec<Right> {
    let text = fs::read_to_string("deploy/rbac.yaml").expect("it is there");
    let mut rights = Vec::new();
    for document in serde_yaml::Deserializer::from_str(&text) {
        let role = Value::deserialize(document).expect("YAML");
        for rule in role["rules"].as_array().into_iter().flatten() {
            rights.extend(of_rule(rule));
        }
    }
    rights
}

fn of_rule(rule: &Value) -> Vec<Right> {
    let words = |key: &str| -> Vec<String> {
        let words = rule[key].as_array().into_iter().flatten();
        words
            .map(|word| word.as_str().expect("a word").to_owned())
            .collect()
    };
    // Names that are only looked at are looked at together.
    let each_name = words("verbs").contains(&"bind".to_owned());
    let names: Vec<_> = match words("resourceNames") {
        names if each_name => names.into_iter().map(Some).collect(),
        _ => vec![None],
    };
    let mut rights = Vec::new();
    for group in words("apiGroups") {
        for resource in words("resources") {
            for verb in words("verbs") {
                let right = |name: &Option<String>| Right {
                    group: group.clone(),
                    resource: resource.clone(),
                    name: name.clone(),
                    verb: verb.clone(),
                };
                rights.extend(names.iter().map(right));
            }
        }
    }
    rights
}

/// A user with all of these rights, everywhere.
fn user(name: &str, rights: &[&Right]) -> [Value; 2] {
    let rules: Vec<_> = rights
        .iter()
        .map(|right| {
            let mut rule = json!({
                "apiGroups": [right.group],
                "resources": [right.resource],
                "verbs": [right.verb],
            });
            if let Some(name) = &right.name {
                rule["resourceNames"] = json!([name]);
            }
            rule
        })
        .collect();
    let group = "rbac.authorization.k8s.io";
    let kind = |kind: &str| json!({ "apiVersion": format!("{group}/v1"), "kind": kind, "metadata": { "name": name } });
    let (mut role, mut binding) = (kind("ClusterRole"), kind("ClusterRoleBinding"));
    role["rules"] = json!(rules);
    binding["roleRef"] = json!({ "apiGroup": group, "kind": "ClusterRole", "name": name });
    binding["subjects"] = json!([{ "apiGroup": group, "kind": "User", "name": name }]);
    [role, binding]
}

/// All but this one. Who has all the rights of a role may bind it anyway, so those go with the right to bind it.
fn without<'a>(rights: &'a [Right], missing: &Right) -> Vec<&'a Right> {
    let is_missing = |right: &Right| format!("{right:?}") == format!("{missing:?}");
    let binds_control = missing.name.as_deref() == Some("tenantry-control");
    let goes_too = |right: &Right| binds_control && right.resource == "secrets";
    let kept = rights
        .iter()
        .filter(|right| !is_missing(right) && !goes_too(right));
    kept.collect()
}

/// What came of the app's start as this user, and everything that somebody is told of it, once that is enough.
async fn outcome(
    user: &str,
    is_enough: impl Fn(Option<&str>, &str) -> bool,
) -> (Option<String>, String) {
    let mut world = World::furnished(TENANTS).await.expect("there is a cluster");
    world.create("", &LEFT.replace("KEY", LEFT_KEY));
    world.user = Some(user.to_owned());
    world.start().await;
    let started = Instant::now();
    let outcome = loop {
        let (conclusion, told) = (conclusion(&world), told(&world));
        if is_enough(conclusion.as_deref(), &told) || started.elapsed() > PATIENCE {
            break (conclusion, told);
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    };
    world.end().await;
    outcome
}

fn conclusion(world: &World) -> Option<String> {
    world.newest_at_tip("tenantry/apply")?.conclusion
}

fn told(world: &World) -> String {
    let log = world.log();
    let warnings = log
        .lines()
        .filter(|line| line.contains(" WARN ") || line.contains("ERROR "));
    let mut told: Vec<String> = warnings.map(|line| line.replace("\\\"", "\"")).collect();
    told.push(world.readyz().1);
    if let Some(check) = world.newest_at_tip("tenantry/apply") {
        told.extend(check.summary);
        told.extend(check.text);
    }
    told.join("\n").replace("&#34;", "\"")
}

#[tokio::test(flavor = "multi_thread")]
async fn without_any_one_of_its_rights_something_fails() {
    let Some(place) = World::furnished(TENANTS).await else {
        return;
    };
    let rights = rights();
    let all: Vec<_> = rights.iter().collect();
    let name = |index: usize| place.text(&format!("without-{index}%"));
    let mut users = Vec::from(user(&name(all.len()), &all));
    for (index, right) in rights.iter().enumerate() {
        users.extend(user(&name(index), &without(&rights, right)));
    }
    place.create(
        "",
        &json!({ "apiVersion": "v1", "kind": "List", "items": users }).to_string(),
    );

    let (conclusion, told) = outcome(&name(all.len()), |conclusion, _| conclusion.is_some()).await;
    assert_eq!(conclusion.as_deref(), Some("success"), "{told}");
    assert!(!told.contains("forbidden"), "{told}");
    assert!(!rights.iter().any(|right| right.is_missed(&told)), "{told}");

    let tries = rights.iter().enumerate().map(|(index, right)| {
        let user = name(index);
        async move {
            let is_missed = |_: Option<&str>, told: &str| right.is_missed(told);
            let (conclusion, told) = outcome(&user, is_missed).await;
            (!right.is_missed(&told)).then(|| format!("{right:?}: {conclusion:?} {told}"))
        }
    });
    let needless: Vec<_> = futures::stream::iter(tries)
        .buffer_unordered(AT_ONCE)
        .filter_map(std::future::ready)
        .collect()
        .await;
    assert_eq!(needless, Vec::<String>::new());
    place.end().await;
}
