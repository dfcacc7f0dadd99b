//! The policies of deploy/admission, evaluated as the API server does: the files that ship are what is read here.
//!
//! The API server of the other tests may be too old for them. What it adds to CEL is done here by
//! hand where the policies use it: `authorizer`, and which requests a policy is about.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::sync::Arc;

use cel::extractors::This;
use cel::{Context, Env, Value as Cel, extensions};
use k8s_openapi::api::admissionregistration::v1::{
    ValidatingAdmissionPolicy, ValidatingAdmissionPolicyBinding,
};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use tenantry::kubernetes::rights::POLICIES;

/// A policy, with every field that one of ours uses; another would be passed over in silence.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Policy {
    #[serde(rename = "failurePolicy")]
    failing: Failing,
    match_constraints: Constraints,
    #[serde(default)]
    match_conditions: Vec<Named>,
    #[serde(default)]
    variables: Vec<Named>,
    validations: Vec<Validation>,
}

/// What cannot be evaluated refuses: no policy of ours lets it pass.
#[derive(Deserialize)]
enum Failing {
    Fail,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Constraints {
    resource_rules: Vec<Rule>,
    object_selector: Option<Selector>,
    namespace_selector: Option<Selector>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Rule {
    api_groups: Vec<String>,
    #[expect(
        dead_code,
        reason = "a request is matched in whichever version it comes"
    )]
    api_versions: Vec<String>,
    operations: Vec<String>,
    resources: Vec<String>,
    scope: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Selector {
    match_labels: BTreeMap<String, String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Named {
    name: String,
    expression: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Validation {
    expression: String,
    message: String,
    message_expression: Option<String>,
    reason: String,
}

/// Every policy that is bound, by its name.
pub(crate) struct Policies(BTreeMap<String, Policy>);

/// A request as admission sees it.
pub(crate) struct Asked {
    pub(crate) user: User,
    /// `CREATE`, `UPDATE`, `DELETE`.
    pub(crate) operation: &'static str,
    /// `rolebindings.rbac.authorization.k8s.io`, `pods/exec`.
    pub(crate) resource: String,
    /// Null for what is in no namespace.
    pub(crate) namespace: Value,
    pub(crate) object: Value,
    pub(crate) old: Value,
}

#[derive(Deserialize, Clone)]
#[serde(deny_unknown_fields)]
pub(crate) struct User {
    pub(crate) username: String,
    pub(crate) groups: Vec<String>,
    /// `verb resource.group`, or `*`.
    #[serde(default)]
    pub(crate) may: Vec<String>,
}

impl Policies {
    /// Those of deploy/admission, each with a binding that refuses.
    pub(crate) fn shipped() -> Self {
        let read = |name: &str| {
            let path = format!("deploy/admission/{name}");
            fs::read_to_string(&path).unwrap_or_else(|error| panic!("{path}: {error}"))
        };
        let kustomization: Value = serde_yaml::from_str(&read("kustomization.yaml")).expect("YAML");
        let files = kustomization["resources"].as_array().expect("a list");
        let (mut policies, mut bound) = (BTreeMap::new(), BTreeSet::new());
        for file in files {
            for document in
                serde_yaml::Deserializer::from_str(&read(file.as_str().expect("a name")))
            {
                let document = Value::deserialize(document).expect("YAML");
                is_of_the_api(&document);
                let name = document["metadata"]["name"]
                    .as_str()
                    .expect("a name")
                    .to_owned();
                let spec = &document["spec"];
                match document["kind"].as_str() {
                    Some("ValidatingAdmissionPolicy") => {
                        let policy =
                            Policy::deserialize(spec).expect("only fields that are evaluated");
                        policies.insert(name, policy);
                    }
                    Some("ValidatingAdmissionPolicyBinding") => {
                        let expected = json!({ "policyName": name, "validationActions": ["Deny"] });
                        assert_eq!(*spec, expected);
                        bound.insert(name);
                    }
                    other => panic!("{other:?} in {file}"),
                }
            }
        }
        assert!(
            policies.keys().eq(POLICIES),
            "the app looks for each of them"
        );
        assert!(
            policies.keys().eq(&bound),
            "each policy is bound, and nothing else"
        );
        Self(policies)
    }

    /// The policies that refuse this, and what they say.
    pub(crate) fn refusals(&self, asked: &Asked) -> BTreeMap<&str, String> {
        let refusals = self.0.iter().filter_map(|(name, policy)| {
            let message = policy.refusal(asked)?;
            Some((name.as_str(), message))
        });
        refusals.collect()
    }
}

impl Policy {
    fn refusal(&self, asked: &Asked) -> Option<String> {
        let Failing::Fail = self.failing;
        if !self.match_constraints.hold(asked) {
            return None;
        }
        let mut variables = Map::new();
        let is_about = |condition: &Named| asked.holds(&condition.expression, &Map::new());
        if !self.match_conditions.iter().all(is_about) {
            return None;
        }
        for variable in &self.variables {
            // One that makes no sense here matters only where it is used.
            if let Ok(value) = asked.evaluate(&variable.expression, &variables) {
                variables.insert(variable.name.clone(), value);
            }
        }
        let mut validations = self.validations.iter();
        let refused = validations.find(|rule| !asked.holds(&rule.expression, &variables))?;
        assert_eq!(refused.reason, "Forbidden");
        let said = refused.message_expression.as_ref().map(|message| {
            let said = asked.evaluate(message, &variables).expect("it is sound");
            said.as_str().expect("a message is text").to_owned()
        });
        Some(said.unwrap_or_else(|| refused.message.clone()))
    }
}

impl Constraints {
    fn hold(&self, asked: &Asked) -> bool {
        if !self.resource_rules.iter().any(|rule| rule.matches(asked)) {
            return false;
        }
        let of_object = self
            .object_selector
            .as_ref()
            .is_none_or(|selector| selector.selects(&asked.object) || selector.selects(&asked.old));
        let of_namespace = self.namespace_selector.as_ref().is_none_or(|selector| {
            assert!(!asked.namespace.is_null(), "other rules hold there");
            selector.selects(&asked.namespace)
        });
        of_object && of_namespace
    }
}

impl Selector {
    fn selects(&self, object: &Value) -> bool {
        let labels = &object["metadata"]["labels"];
        !object.is_null()
            && self
                .match_labels
                .iter()
                .all(|(key, value)| labels[key] == **value)
    }
}

impl Rule {
    fn matches(&self, asked: &Asked) -> bool {
        let has = |list: &[String], word: &str| list.iter().any(|one| one == "*" || one == word);
        let (group, resource, subresource) = asked.resource();
        let scope = if asked.namespace.is_null() {
            "Cluster"
        } else {
            "Namespaced"
        };
        let of_resource = self.resources.iter().any(|pattern| {
            let (main, sub) = pattern.split_once('/').unwrap_or((pattern, ""));
            (main == "*" || main == resource) && (sub == "*" || sub == subresource)
        });
        has(&self.api_groups, group)
            && has(&self.operations, asked.operation)
            && of_resource
            && (self.scope == "*" || self.scope == scope)
    }
}

impl Asked {
    /// Its group, its plural, and its subresource or nothing.
    fn resource(&self) -> (&str, &str, &str) {
        let (resource, subresource) = self
            .resource
            .split_once('/')
            .unwrap_or((&self.resource, ""));
        let (plural, group) = resource.split_once('.').unwrap_or((resource, ""));
        (group, plural, subresource)
    }

    fn holds(&self, expression: &str, variables: &Map<String, Value>) -> bool {
        match self.evaluate(expression, variables) {
            Ok(Value::Bool(holds)) => holds,
            other => panic!("{expression}: {other:?}"),
        }
    }

    fn evaluate(&self, expression: &str, variables: &Map<String, Value>) -> Result<Value, String> {
        let mut env = Env::stdlib();
        env.add_extension(extensions::strings)
            .expect("no name is taken");
        let program = env.compile(expression).expect("it is an expression");
        let mut context = Context::with_env(Arc::new(env));
        let (group, resource, subresource) = self.resource();
        let metadata = |object: &Value, key: &str| object["metadata"][key].clone();
        let request = json!({
            "operation": self.operation,
            "namespace": metadata(&self.namespace, "name").as_str().unwrap_or_default(),
            "resource": { "group": group, "resource": resource },
            "subResource": subresource,
            "userInfo": { "username": self.user.username, "groups": self.user.groups },
        });
        for (name, value) in [
            ("object", &self.object),
            ("oldObject", &self.old),
            ("namespaceObject", &self.namespace),
            ("request", &request),
            ("variables", &Value::Object(variables.clone())),
            ("authorizer", &json!({ "may": self.user.may })),
        ] {
            context.add_variable(name, value).expect("plain data");
        }
        authorize(&mut context);
        let value = program
            .execute(&context)
            .map_err(|error| error.to_string())?;
        value.json().map_err(|error| error.to_string())
    }
}

/// A field that the API does not know would not come back.
fn is_of_the_api(document: &Value) {
    let whole = if document["kind"] == "ValidatingAdmissionPolicy" {
        typed::<ValidatingAdmissionPolicy>(document)
    } else {
        typed::<ValidatingAdmissionPolicyBinding>(document)
    };
    assert_eq!(whole, *document);
}

fn typed<T: Serialize + DeserializeOwned>(document: &Value) -> Value {
    let typed: T = serde_json::from_value(document.clone()).expect("it is of this kind");
    serde_json::to_value(typed).expect("plain data")
}

/// `authorizer.group(g).resource(r).check(v).allowed()`: a question that is put together word by word.
fn authorize(context: &mut Context<'_, '_>) {
    for word in ["group", "resource", "check"] {
        let add = move |This(question): This<Cel>, value: Arc<String>| -> Cel {
            let mut question = question.json().expect("it is a question");
            question[word] = json!(*value);
            cel::to_value(question).expect("plain data")
        };
        context.add_function(word, add).expect("no name is taken");
    }
    let allowed = |This(question): This<Cel>| {
        let question = question.json().expect("it is a question");
        let word = |word: &str| question[word].as_str().expect("it was said").to_owned();
        let asked = format!("{} {}.{}", word("check"), word("resource"), word("group"));
        let may = question["may"].as_array().expect("a list").iter();
        may.into_iter()
            .any(|right| *right == "*" || *right == *asked)
    };
    context
        .add_function("allowed", allowed)
        .expect("no name is taken");
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Table {
    users: BTreeMap<String, User>,
    namespaces: BTreeMap<String, Value>,
    requests: Vec<Row>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Row {
    who: String,
    does: String,
    asks: String,
    r#in: Option<String>,
    #[serde(default)]
    object: Value,
    #[serde(default)]
    old: Value,
    refused: Option<String>,
}

impl Table {
    fn asked(&self, row: &Row) -> Asked {
        let (operation, resource) = row.asks.split_once(' ').expect("what it asks of what");
        let operations = ["CREATE", "UPDATE", "DELETE"].into_iter();
        let operation = operations
            .into_iter()
            .find(|one| *one == operation)
            .expect("an operation");
        let namespace = row.r#in.as_ref().map(|name| {
            let mut metadata = self.namespaces[name].clone();
            metadata["name"] = json!(name);
            json!({ "metadata": metadata })
        });
        // Every object has metadata, if only a name.
        let whole = |object: &Value| {
            let mut object = object.clone();
            if object.is_object() && object["metadata"].is_null() {
                object["metadata"] = json!({ "name": "it" });
            }
            object
        };
        let asked = Asked {
            user: self.users[&row.who].clone(),
            operation,
            resource: resource.to_owned(),
            namespace: namespace.unwrap_or_default(),
            object: whole(&row.object),
            old: whole(&row.old),
        };
        assert_eq!(
            asked.object.is_null(),
            operation == "DELETE",
            "{}",
            row.does
        );
        assert_eq!(asked.old.is_null(), operation == "CREATE", "{}", row.does);
        asked
    }
}

#[test]
fn the_policies_let_pass_and_refuse_what_they_should() {
    let table: Table = serde_yaml::from_str(include_str!("admission.yaml")).unwrap();
    let policies = Policies::shipped();
    let mut wrong = Vec::new();
    for row in &table.requests {
        let refusals = policies.refusals(&table.asked(row));
        let names: Vec<_> = refusals.keys().copied().collect();
        if names != row.refused.as_deref().into_iter().collect::<Vec<_>>() {
            wrong.push(format!("{} would {}: {refusals:?}", row.who, row.does));
        }
    }
    assert_eq!(wrong, Vec::<String>::new());
    // Each rule of each policy has said no to something, and yes to something that it is about.
    for (name, policy) in &policies.0 {
        let about = table.requests.iter().map(|row| table.asked(row));
        let about: Vec<_> = about
            .filter(|asked| policy.match_constraints.hold(asked))
            .collect();
        let refused = about
            .iter()
            .filter(|asked| policy.refusal(asked).is_some())
            .count();
        assert!(refused > 0 && refused < about.len(), "{name}");
        for validation in &policy.validations {
            let said = about.iter().filter_map(|asked| policy.refusal(asked));
            let said = said.filter(|said| {
                validation.message_expression.is_some() || *said == validation.message
            });
            assert!(said.count() > 0, "{name}: {}", validation.message);
        }
    }
}

#[test]
fn a_refusal_says_what_is_allowed() {
    let table: Table = serde_yaml::from_str(include_str!("admission.yaml")).unwrap();
    let policies = Policies::shipped();
    let said = |does: &str| {
        let row = table.requests.iter().find(|row| row.does == does).unwrap();
        policies
            .refusals(&table.asked(row))
            .into_values()
            .next()
            .unwrap()
    };
    assert_eq!(
        said("run another image"),
        "the image `quay.io/other/web:1` comes from a registry that this namespace does not allow; allowed: ghcr.io/acme docker.io/library/"
    );
    assert_eq!(
        said("fetch from elsewhere"),
        "this namespace does not allow to fetch from there; allowed: https://github.com/acme oci://ghcr.io/acme"
    );
}
