//! Whether Flux on the cluster keeps tenants in their rooms, as the Deployments of its controllers have it.
//!
//! Without certain arguments Flux applies what a tenant wrote with its own rights, which are those of the cluster's
//! administrator. Arguments decide; whether a controller is ready is only told. Cannot see is not locked down.

#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use crate::object::Kind;
use crate::tenants::Lockdown;
use crate::words::words;

/// Where Flux runs.
pub const NAMESPACE: &str = "flux-system";
/// What Flux's own Deployments are labelled with, as a selector.
pub const SELECTOR: &str = "app.kubernetes.io/part-of=flux";
/// Flux's page that shows how these arguments are set.
pub const PAGE: &str = "https://fluxcd.io/flux/installation/configuration/multitenancy/";

pub(super) const VERSION: &str = "app.kubernetes.io/version";
const COMPONENT: &str = "app.kubernetes.io/component";
/// The oldest Flux that will do: before it, other versions of its API are stored.
const OLDEST: (u64, u64) = (2, 7);
/// What Flux calls the container that is the controller.
const MANAGER: &str = "manager";

words! {
    /// Flux's controllers; the word is a Deployment's name, an image's and a program's.
    Controller {
        Source = "source-controller",
        Kustomize = "kustomize-controller",
        Helm = "helm-controller",
        Notification = "notification-controller",
        ImageReflector = "image-reflector-controller",
        ImageAutomation = "image-automation-controller",
        SourceWatcher = "source-watcher",
    }
}

impl Controller {
    /// The arguments without which a tenant can leave its room, and their values.
    pub const fn required(self) -> &'static [(&'static str, &'static str)] {
        const OWN_NAMESPACE: (&str, &str) = ("--no-cross-namespace-refs", "true");
        const NO_REMOTE_BASES: (&str, &str) = ("--no-remote-bases", "true");
        const OWN_ACCOUNT: (&str, &str) = ("--default-service-account", super::NESTED);
        match self {
            Self::Source => &[],
            Self::Kustomize => &[OWN_NAMESPACE, NO_REMOTE_BASES, OWN_ACCOUNT],
            Self::Helm => &[OWN_NAMESPACE, OWN_ACCOUNT],
            Self::Notification
            | Self::ImageReflector
            | Self::ImageAutomation
            | Self::SourceWatcher => &[OWN_NAMESPACE],
        }
    }

    /// Its release in the oldest Flux that will do.
    const fn oldest(self) -> (u64, u64) {
        match self {
            Self::Source | Self::Kustomize | Self::Notification => (1, 7),
            Self::Helm => (1, 4),
            Self::ImageReflector | Self::ImageAutomation => (1, 0),
            Self::SourceWatcher => (2, 0),
        }
    }

    /// The API group that it acts on; without the group there is nothing for it to do.
    const fn group(self) -> Option<&'static str> {
        match self {
            // Without these two nothing is synced at all.
            Self::Source | Self::Kustomize => None,
            Self::Helm => Some("helm.toolkit.fluxcd.io"),
            Self::Notification => Some("notification.toolkit.fluxcd.io"),
            Self::ImageReflector | Self::ImageAutomation => Some("image.toolkit.fluxcd.io"),
            Self::SourceWatcher => Some("source.extensions.fluxcd.io"),
        }
    }
}

/// What was seen of Flux; or why it cannot be seen.
pub struct Sight {
    /// The Deployments in [`NAMESPACE`] that [`SELECTOR`] selects.
    pub deployments: Result<Vec<Value>, String>,
    /// The cluster's API groups and the versions of each that it serves.
    pub served: Result<Served, String>,
}

pub type Served = BTreeMap<String, BTreeSet<String>>;

/// How Flux's lockdown stands, and what the file has done about it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Standing {
    pub policy: Policy,
    /// None: Flux is locked down.
    pub gaps: Vec<Gap>,
    /// Controllers that do not run as they should, each as a sentence.
    pub unready: Vec<String>,
}

/// What happens while Flux is not locked down.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Policy {
    /// No tenant is onboarded, and nobody gains access.
    Require,
    /// The same: the file says `warn`, and the one accepted before it did not.
    RequireOnceMore,
    Warn,
}

/// One thing that keeps Flux from being locked down.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Gap {
    Unreadable {
        what: &'static str,
        reason: String,
    },
    NotInstalled,
    NotFound {
        controller: Controller,
        /// Served by the cluster, so that it may run somewhere else.
        group: Option<&'static str>,
    },
    NotServed {
        api: &'static str,
    },
    Arguments {
        deployment: String,
        missing: Vec<String>,
        /// As they are, and as they should be.
        wrong: Vec<(String, String)>,
    },
    /// Which arguments the controller gets cannot be told.
    Unclear {
        deployment: String,
        why: String,
    },
    TooOld {
        version: String,
        deployments: Vec<String>,
    },
    UnknownVersion {
        deployments: Vec<String>,
    },
}

impl Default for Standing {
    /// Nothing was looked at, because nothing is to be done.
    fn default() -> Self {
        Self {
            policy: Policy::Require,
            gaps: Vec::new(),
            unready: Vec::new(),
        }
    }
}

impl Standing {
    pub fn of(sight: &Sight, wanted: Lockdown) -> Self {
        let deployments = sight.deployments.as_deref().unwrap_or_default();
        Self {
            policy: Policy::of(wanted),
            gaps: gaps(sight),
            unready: deployments.iter().filter_map(unready).collect(),
        }
    }

    /// Whether newcomers wait.
    pub fn shuts_out(&self) -> bool {
        match self.policy {
            Policy::Require | Policy::RequireOnceMore => !self.gaps.is_empty(),
            Policy::Warn => false,
        }
    }
}

impl Policy {
    fn of(wanted: Lockdown) -> Self {
        match wanted {
            Lockdown::Require => Self::Require,
            Lockdown::Warn => Self::Warn,
        }
    }

    /// A guard that stands in the file is read from the one accepted before: weakening it counts from the next merge on.
    #[must_use]
    pub fn after(self, before: Lockdown) -> Self {
        match (self, before) {
            (Self::Warn, Lockdown::Require) => Self::RequireOnceMore,
            (policy, Lockdown::Require | Lockdown::Warn) => policy,
        }
    }
}

/// Everything that keeps Flux from being locked down.
pub fn gaps(sight: &Sight) -> Vec<Gap> {
    let mut gaps = match &sight.deployments {
        Err(reason) => vec![Gap::Unreadable {
            what: "the Deployments in `flux-system`",
            reason: reason.clone(),
        }],
        Ok(deployments) if deployments.is_empty() => vec![Gap::NotInstalled],
        Ok(deployments) => of_deployments(deployments, sight.served.as_ref().ok()),
    };
    match &sight.served {
        Err(reason) => gaps.push(Gap::Unreadable {
            what: "the cluster's API groups",
            reason: reason.clone(),
        }),
        Ok(served) => gaps.extend(not_served(served)),
    }
    gaps
}

fn not_served(served: &Served) -> impl Iterator<Item = Gap> {
    let is_served = |kind: &Kind| {
        let (group, version) = kind.api_version().split_once('/').unwrap_or_default();
        served
            .get(group)
            .is_some_and(|versions| versions.contains(version))
    };
    [Kind::GitRepository, Kind::Kustomization]
        .into_iter()
        .filter(move |kind| !is_served(kind))
        .map(|kind| Gap::NotServed {
            api: kind.api_version(),
        })
}

fn of_deployments(deployments: &[Value], served: Option<&Served>) -> Vec<Gap> {
    let mut found = BTreeSet::new();
    let mut gaps = Vec::new();
    let (mut old, mut unknown) = (BTreeMap::<String, Vec<String>>::new(), Vec::new());
    for deployment in deployments {
        let name = name(deployment);
        let controllers = controllers(deployment);
        if controllers.is_empty()
            && let Some(controller) = named_controller(deployment)
        {
            found.insert(controller);
            let why = format!("none of its containers is seen to be `{controller}`");
            gaps.push(Gap::Unclear {
                deployment: name.clone(),
                why,
            });
        }
        for (controller, container) in controllers {
            found.insert(controller);
            gaps.extend(of_arguments(&name, controller, container));
            match age(deployment, controller, container) {
                Age::Recent => {}
                Age::TooOld(version) => old.entry(version).or_default().push(name.clone()),
                Age::Unknown => unknown.push(name.clone()),
            }
        }
    }
    gaps.splice(0..0, not_found(&found, served));
    gaps.extend(old.into_iter().map(|(version, deployments)| Gap::TooOld {
        version,
        deployments,
    }));
    if !unknown.is_empty() {
        gaps.push(Gap::UnknownVersion {
            deployments: unknown,
        });
    }
    gaps
}

/// Controllers that nobody sees, though something may be syncing or notifying.
fn not_found(found: &BTreeSet<Controller>, served: Option<&Served>) -> Vec<Gap> {
    let is_covered = |group: &str| {
        found
            .iter()
            .any(|controller| controller.group() == Some(group))
    };
    let mut groups = BTreeSet::new();
    let mut gaps = Vec::new();
    for &controller in Controller::ALL {
        let missing = match controller.group() {
            None => !found.contains(&controller),
            Some(group) => {
                let is_served = served.is_some_and(|served| served.contains_key(group));
                is_served && !is_covered(group) && groups.insert(group)
            }
        };
        if missing {
            gaps.push(Gap::NotFound {
                controller,
                group: controller.group(),
            });
        }
    }
    gaps
}

fn name(deployment: &Value) -> String {
    deployment["metadata"]["name"]
        .as_str()
        .unwrap_or_default()
        .to_owned()
}

/// The controller that the Deployment says it is: a shard has the name of its controller and more.
fn named_controller(deployment: &Value) -> Option<Controller> {
    let name = name(deployment);
    let component = deployment["metadata"]["labels"][COMPONENT].as_str();
    Controller::ALL.iter().copied().find(|controller| {
        let is_shard = name
            .strip_prefix(controller.as_str())
            .is_some_and(|rest| rest.is_empty() || rest.starts_with('-'));
        is_shard || component == Some(controller.as_str())
    })
}

/// Which containers are a controller: by the program they start, by their image, by what Flux calls them.
fn controllers(deployment: &Value) -> Vec<(Controller, &Value)> {
    let named = named_controller(deployment);
    let containers = deployment
        .pointer("/spec/template/spec/containers")
        .and_then(Value::as_array);
    let containers = containers.into_iter().flatten();
    containers
        .filter_map(|container| Some((controller(container, named)?, container)))
        .collect()
}

fn controller(container: &Value, named: Option<Controller>) -> Option<Controller> {
    let words = strings(&container["command"]);
    let started = words.iter().find_map(|word| program(word));
    let image = || container["image"].as_str().and_then(image_name);
    let manager = || named.filter(|_| container["name"] == MANAGER);
    started.or_else(image).or_else(manager)
}

fn strings(list: &Value) -> Vec<&str> {
    let items = list.as_array().into_iter().flatten();
    items.filter_map(Value::as_str).collect()
}

/// The controller that a word of a command line starts: `kustomize-controller`, `/usr/local/bin/kustomize-controller`.
fn program(word: &str) -> Option<Controller> {
    word.rsplit('/').next()?.parse().ok()
}

/// The controller of an image: `ghcr.io/fluxcd/helm-controller:v1.6.3@sha256:…`.
fn image_name(image: &str) -> Option<Controller> {
    let (image, _) = image.split_once('@').unwrap_or((image, ""));
    let last = image.rsplit('/').next()?;
    let (name, _) = last.split_once(':').unwrap_or((last, ""));
    name.parse().ok()
}

fn image_tag(image: &str) -> Option<&str> {
    let (image, _) = image.split_once('@').unwrap_or((image, ""));
    Some(image.rsplit('/').next()?.split_once(':')?.1)
}

fn of_arguments(deployment: &str, controller: Controller, container: &Value) -> Option<Gap> {
    let Some(arguments) = arguments(controller, container) else {
        return Some(Gap::Unclear {
            deployment: deployment.to_owned(),
            why: format!("its `command` does not start `{controller}` by itself"),
        });
    };
    let (mut missing, mut wrong) = (Vec::new(), Vec::new());
    for &(flag, wanted) in controller.required() {
        let right = format!("{flag}={wanted}");
        match value(&arguments, flag, wanted) {
            None => missing.push(right),
            Some(found) if is(found, wanted) => {}
            Some(found) => wrong.push((format!("{flag}={found}"), right)),
        }
    }
    (!missing.is_empty() || !wrong.is_empty()).then(|| Gap::Arguments {
        deployment: deployment.to_owned(),
        missing,
        wrong,
    })
}

/// What the controller is started with. An image's own entrypoint starts it; a `command` in its place must name it.
fn arguments(controller: Controller, container: &Value) -> Option<Vec<&str>> {
    let mut words = strings(&container["command"]);
    let has_command = !words.is_empty();
    words.extend(strings(&container["args"]));
    if !has_command {
        return Some(words);
    }
    let start = words
        .iter()
        .position(|word| program(word) == Some(controller))?;
    Some(words.split_off(start + 1))
}

/// The value of a flag as pflag reads it: the last one wins, `--` ends them, and a switch needs no value.
fn value<'a>(arguments: &[&'a str], flag: &str, wanted: &str) -> Option<&'a str> {
    let is_switch = wanted == "true";
    let mut value = None;
    let mut words = arguments.iter().take_while(|word| **word != "--");
    while let Some(word) = words.next() {
        match word.strip_prefix(flag) {
            Some("") if is_switch => value = Some("true"),
            Some("") => value = Some(words.next().copied().unwrap_or_default()),
            Some(rest) => value = rest.strip_prefix('=').or(value),
            None => {}
        }
    }
    value
}

/// Whether two values are the same to Go, for which a switch is on in more than one word.
fn is(found: &str, wanted: &str) -> bool {
    let on = ["1", "t", "T", "true", "True", "TRUE"];
    found == wanted || wanted == "true" && on.contains(&found)
}

enum Age {
    Recent,
    TooOld(String),
    Unknown,
}

/// By Flux's version in the label, or else by the controller's own in the image's tag.
fn age(deployment: &Value, controller: Controller, container: &Value) -> Age {
    let label = deployment["metadata"]["labels"][VERSION].as_str();
    let tag = container["image"].as_str().and_then(image_tag);
    let of_flux = label.and_then(|text| Some((text, release(text)?, OLDEST)));
    let own = || tag.and_then(|text| Some((text, release(text)?, controller.oldest())));
    match of_flux.or_else(own) {
        None => Age::Unknown,
        Some((_, release, oldest)) if release >= oldest => Age::Recent,
        Some((text, _, _)) => Age::TooOld(text.to_owned()),
    }
}

/// The first two numbers of `v2.9.4`, `2.7`, `v2.8.0-rc.1`.
fn release(version: &str) -> Option<(u64, u64)> {
    let mut numbers = version
        .strip_prefix('v')
        .unwrap_or(version)
        .split(['.', '-', '+']);
    Some((numbers.next()?.parse().ok()?, numbers.next()?.parse().ok()?))
}

/// What is not as it should be of a Deployment's Pods. They may still run with older arguments.
fn unready(deployment: &Value) -> Option<String> {
    named_controller(deployment)?;
    let name = name(deployment);
    let (spec, status) = (&deployment["spec"], &deployment["status"]);
    let count = |value: &Value| value.as_u64().unwrap_or_default();
    let wanted = spec["replicas"].as_u64().unwrap_or(1);
    let is_seen = status["observedGeneration"].as_i64()
        >= deployment
            .pointer("/metadata/generation")
            .and_then(Value::as_i64);
    if wanted == 0 {
        Some(format!("`{name}` is scaled to no Pods"))
    } else if !is_seen || count(&status["updatedReplicas"]) < wanted {
        Some(format!("`{name}` is being rolled out"))
    } else if count(&status["readyReplicas"]) < wanted {
        let ready = count(&status["readyReplicas"]);
        Some(format!("`{name}` has {ready} of {wanted} Pods ready"))
    } else {
        None
    }
}

impl Gap {
    /// What is missing, as the rest of a sentence.
    pub fn message(&self) -> String {
        match self {
            Self::Unreadable { what, reason } => format!("{what} cannot be read: {reason}"),
            Self::NotInstalled => {
                "no Deployment in `flux-system` has the label `app.kubernetes.io/part-of: flux`"
                    .to_owned()
            }
            Self::NotFound {
                controller,
                group: None,
            } => format!("there is no `{controller}` in `flux-system`"),
            Self::NotFound {
                controller,
                group: Some(group),
            } => format!(
                "the cluster serves `{group}`, and there is no `{controller}` in `flux-system`"
            ),
            Self::NotServed { api } => format!("the cluster does not serve `{api}`"),
            Self::Arguments {
                deployment,
                missing,
                wrong,
            } => of_flags(deployment, missing, wrong),
            Self::Unclear { deployment, why } => {
                format!("what `{deployment}` is started with cannot be told: {why}")
            }
            Self::TooOld {
                version,
                deployments,
            } => format!(
                "{} {} `{version}`, older than Flux {}.{}",
                listed(deployments),
                if deployments.len() == 1 { "is" } else { "are" },
                OLDEST.0,
                OLDEST.1
            ),
            Self::UnknownVersion { deployments } => {
                format!("the version of {} cannot be told", listed(deployments))
            }
        }
    }

    /// What to do about it, as the rest of a sentence.
    pub fn help(&self) -> String {
        match self {
            Self::Unreadable { .. } => {
                "let Tenantry's account read them: `kubectl apply -k deploy/` gives it the right where `flux-system` exists".to_owned()
            }
            Self::NotInstalled | Self::NotServed { .. } | Self::NotFound { group: None, .. } => {
                format!("install Flux {}.{} or later there", OLDEST.0, OLDEST.1)
            }
            Self::NotFound {
                group: Some(group), ..
            } => format!(
                "it may run elsewhere: move it there, or remove the kinds of `{group}` if nothing serves them"
            ),
            Self::Arguments { .. } => {
                "set them in the `args` of its container, by patches where Flux is installed from"
                    .to_owned()
            }
            Self::Unclear { .. } => {
                "leave out `command`, so that the image's own program is started with `args`".to_owned()
            }
            Self::TooOld { .. } => "upgrade Flux".to_owned(),
            Self::UnknownVersion { .. } => {
                format!("set the label `{VERSION}`, or give the image a tag")
            }
        }
    }
}

fn of_flags(deployment: &str, missing: &[String], wrong: &[(String, String)]) -> String {
    let mut parts = Vec::new();
    if !missing.is_empty() {
        parts.push(format!("without {}", listed(missing)));
    }
    let wrong = wrong
        .iter()
        .map(|(found, right)| format!("with `{found}` in place of `{right}`"));
    parts.extend(wrong);
    format!("`{deployment}` runs {}", parts.join(", and "))
}

/// `` `a`, `b` and `c` ``.
fn listed(names: &[String]) -> String {
    let quoted: Vec<_> = names.iter().map(|name| format!("`{name}`")).collect();
    match quoted.split_last() {
        Some((last, rest)) if !rest.is_empty() => format!("{} and {last}", rest.join(", ")),
        _ => quoted.concat(),
    }
}
