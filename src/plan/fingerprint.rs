//! What a plan comment promises: a hash of the plan, and of each step in it that widens access.

use std::collections::BTreeSet;
use std::fmt::{self, Write as _};

use serde::{Deserialize, Serialize};
use serde_json::json;
use sha2::{Digest as _, Sha256};

use crate::names::TenantName;
use crate::object::{Kind, ManifestId, ObjectId};
use crate::plan::{Plan, Step};

/// Raised when the same steps are to give another fingerprint.
const FORMAT: &str = "tenantry plan 1";

/// A SHA-256, in hexadecimal.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Digest(String);

impl Digest {
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The first 48 bits, for people: `7c1e-9b40-52aa`.
    pub fn short(&self) -> String {
        let mut groups = self
            .0
            .as_bytes()
            .chunks(4)
            .take(3)
            .map(|group| String::from_utf8_lossy(group).into_owned());
        let mut text = groups.next().unwrap_or_default();
        groups.for_each(|group| write!(text, "-{group}").expect("writing to a string"));
        text
    }

    fn of(value: &serde_json::Value) -> Self {
        Self(hex::encode(Sha256::digest(value.to_string())))
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

/// What the merge of a pull request may do, because its plan comment said so.
///
/// It travels in the plan's check run, which only this App can write.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Promise {
    pub plan: Digest,
    /// The steps that widen somebody's access.
    pub wider: BTreeSet<Digest>,
}

impl Promise {
    /// The promise that showing this plan makes: nothing that the plan shows as held for a person.
    pub fn of(plan: &Plan) -> Self {
        let wider = plan
            .steps()
            .filter(|(_, step)| step.announces_wider_access());
        Self {
            plan: of_plan(plan),
            wider: wider.map(|(tenant, step)| of_step(tenant, step)).collect(),
        }
    }

    /// As a line of a check run's text, hidden from people.
    pub fn to_marker(&self) -> String {
        let json = serde_json::to_string(self).expect("a promise is plain data");
        format!("<!-- tenantry:promise {json} -->")
    }

    /// Reads it back from a check run's text; nothing where there is none that is whole.
    pub fn from_marker(text: &str) -> Option<Self> {
        let (_, rest) = text.split_once("<!-- tenantry:promise ")?;
        serde_json::from_str(rest.split_once(" -->")?.0).ok()
    }
}

/// The fingerprint of a plan: over what is done to which object, from what to what; not over words, times or commits.
pub fn of_plan(plan: &Plan) -> Digest {
    let steps: Vec<_> = plan
        .steps()
        .filter(|(_, step)| !is_memory(&step.id))
        .map(|(tenant, step)| describe(tenant, step))
        .collect();
    let problems: Vec<_> = plan
        .problems()
        .map(|(tenant, problem)| json!([tenant, problem.message]))
        .collect();
    Digest::of(&json!([FORMAT, steps, problems]))
}

/// The fingerprint of one step, the same whatever else the plan holds.
pub fn of_step(tenant: &TenantName, step: &Step) -> Digest {
    Digest::of(&json!([FORMAT, describe(tenant, step)]))
}

fn describe(tenant: &TenantName, step: &Step) -> serde_json::Value {
    let fields = match &step.change {
        crate::plan::Change::Create(_) | crate::plan::Change::Remove(_) => json!(null),
        crate::plan::Change::Adopt { fields, .. } | crate::plan::Change::Update { fields, .. } => {
            json!(fields)
        }
    };
    json!([
        tenant,
        step.id,
        step.change.verb(),
        step.change.target(),
        fields
    ])
}

/// The `Tenant` object holds commits, and otherwise only what the other steps say.
fn is_memory(id: &ObjectId) -> bool {
    matches!(
        id,
        ObjectId::Manifest(ManifestId {
            kind: Kind::Tenant,
            ..
        })
    )
}
