//! What a plan comment promises: a hash of the plan, and of each step in it that widens access.

use std::collections::BTreeSet;
use std::fmt::{self, Write as _};
use std::io::{self, BufWriter};

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use crate::desired::Objects;
use crate::names::TenantName;
use crate::object::{Kind, ManifestId, ObjectId};
use crate::plan::{Plan, Step, TenantPlan};

/// Raised when the same steps are to give another fingerprint.
const FORMAT: &str = "tenantry plan 2";

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

    /// Of the value's JSON, which is never there as a whole.
    fn of(value: &impl Serialize) -> Self {
        let mut hasher = Hasher(Sha256::new());
        serde_json::to_writer(BufWriter::new(&mut hasher), value).expect("a plan is plain data");
        Self(hex::encode(hasher.0.finalize()))
    }
}

struct Hasher(Sha256);

impl io::Write for Hasher {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.update(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
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
        Self {
            plan: of_plan(plan),
            wider: plan.tenants.iter().flat_map(wider).collect(),
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

/// The steps of a tenant that widen somebody's access and are not held for a person.
fn wider((name, tenant): (&TenantName, &TenantPlan)) -> Vec<Digest> {
    let is_wider = |step: &&Step| step.announces_wider_access();
    let mut steps = tenant.steps.iter().filter(is_wider).peekable();
    if steps.peek().is_none() {
        return Vec::new();
    }
    let wanted = tenant.wanted();
    steps.map(|step| of_step(name, step, &wanted)).collect()
}

/// The fingerprint of a plan: over what is done to which object, from what to what; not over words, times or commits.
pub fn of_plan(plan: &Plan) -> Digest {
    let tenants: Vec<_> = plan
        .tenants
        .iter()
        .filter_map(|(name, tenant)| Some((name, tenant.digest.as_ref()?)))
        .collect();
    let problems: Vec<_> = plan
        .problems()
        .map(|(tenant, problem)| (tenant, &problem.message))
        .collect();
    Digest::of(&(FORMAT, tenants, problems))
}

/// That of the file which a plan starts from, none where it does not exist: where it is another, the plan may be too.
pub fn of_base(text: Option<&str>) -> Digest {
    Digest::of(&(FORMAT, text))
}

/// That of one tenant's steps, while what they make of the objects is at hand.
pub(super) fn of_steps(tenant: &TenantName, steps: &[Step], wanted: &Objects) -> Option<Digest> {
    let steps: Vec<_> = steps
        .iter()
        .filter(|step| !is_memory(&step.id))
        .map(|step| describe(tenant, step, wanted))
        .collect();
    (!steps.is_empty()).then(|| Digest::of(&(FORMAT, steps)))
}

/// The fingerprint of one step, the same whatever else the plan holds.
pub fn of_step(tenant: &TenantName, step: &Step, wanted: &Objects) -> Digest {
    Digest::of(&(FORMAT, describe(tenant, step, wanted)))
}

fn describe<'a>(
    tenant: &'a TenantName,
    step: &'a Step,
    wanted: &'a Objects,
) -> impl Serialize + use<'a> {
    let to = wanted.get(&step.id).filter(|_| step.change.is_wanted());
    let (verb, fields) = (step.change.verb(), step.change.fields());
    (tenant, &step.id, verb, to, fields)
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
