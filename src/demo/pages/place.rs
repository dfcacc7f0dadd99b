//! Which pages there are, each with its address; and what a deed tells on the page that follows it.

use axum::http::Uri;
use maud::{Markup, html};
use percent_encoding::{NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};

use super::layout::{Notice, Tone};

/// A page.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Place {
    Control,
    /// The editor: for a new pull request, or for another commit of one.
    Edit {
        pull: Option<u64>,
    },
    Pull(u64),
    Check(u64),
    Organization,
    Cluster,
    Object(ObjectPlace),
    Webhooks,
    Delivery(u64),
}

/// An object of the cluster.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct ObjectPlace {
    /// `rolebindings`, …
    pub(super) plural: String,
    /// None for what is in no namespace.
    pub(super) namespace: Option<String>,
    pub(super) name: String,
}

impl Place {
    /// The page at an address.
    pub(super) fn at(uri: &Uri) -> Option<Self> {
        let parts: Vec<String> = uri
            .path()
            .split('/')
            .filter(|part| !part.is_empty())
            .map(|part| percent_decode_str(part).decode_utf8_lossy().into_owned())
            .collect();
        let parts: Vec<&str> = parts.iter().map(String::as_str).collect();
        let number = |text: &str| text.parse().ok();
        let object = |plural: &str, namespace: Option<&str>, name: &str| {
            Self::Object(ObjectPlace {
                plural: plural.to_owned(),
                namespace: namespace.map(ToOwned::to_owned),
                name: name.to_owned(),
            })
        };
        match parts.as_slice() {
            [] => Some(Self::Control),
            ["edit"] => Some(Self::Edit {
                pull: in_query(uri.query(), "pull").and_then(|text| number(&text)),
            }),
            ["pulls", of] => Some(Self::Pull(number(of)?)),
            ["checks", id] => Some(Self::Check(number(id)?)),
            ["organization"] => Some(Self::Organization),
            ["cluster"] => Some(Self::Cluster),
            ["cluster", plural, name] => Some(object(plural, None, name)),
            ["cluster", plural, namespace, name] => Some(object(plural, Some(namespace), name)),
            ["webhooks"] => Some(Self::Webhooks),
            ["webhooks", id] => Some(Self::Delivery(number(id)?)),
            _ => None,
        }
    }

    pub(super) fn address(&self) -> String {
        match self {
            Self::Control => "/".to_owned(),
            Self::Edit { pull: None } => "/edit".to_owned(),
            Self::Edit { pull: Some(number) } => format!("/edit?pull={number}"),
            Self::Pull(number) => format!("/pulls/{number}"),
            Self::Check(id) => format!("/checks/{id}"),
            Self::Organization => "/organization".to_owned(),
            Self::Cluster => "/cluster".to_owned(),
            Self::Object(object) => object.address(),
            Self::Webhooks => "/webhooks".to_owned(),
            Self::Delivery(id) => format!("/webhooks/{id}"),
        }
    }

    /// The address with what is to be told there.
    pub(super) fn telling(&self, told: Told) -> String {
        format!("{}?told={}", self.address(), told.word())
    }

    /// The entry of the navigation that a page belongs to.
    pub(super) fn section(&self) -> Section {
        match self {
            Self::Control | Self::Edit { .. } | Self::Pull(_) | Self::Check(_) => Section::Control,
            Self::Organization => Section::Organization,
            Self::Cluster | Self::Object(_) => Section::Cluster,
            Self::Webhooks | Self::Delivery(_) => Section::Webhooks,
        }
    }

    /// Whether the page follows what happens: an editor must not be written over.
    pub(super) fn is_live(&self) -> bool {
        !matches!(self, Self::Edit { .. })
    }
}

impl ObjectPlace {
    fn address(&self) -> String {
        let encoded = |text: &str| utf8_percent_encode(text, NAME).to_string();
        let namespace = self.namespace.as_deref();
        let namespace = namespace.map(|name| format!("{}/", encoded(name)));
        format!(
            "/cluster/{}/{}{}",
            encoded(&self.plural),
            namespace.unwrap_or_default(),
            encoded(&self.name)
        )
    }
}

/// What stands for itself in the name of an object.
const NAME: &percent_encoding::AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_');

/// An entry of the navigation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Section {
    Control,
    Organization,
    Cluster,
    Webhooks,
}

impl Section {
    pub(super) const ALL: [(Self, &str, Place); 4] = [
        (Self::Control, "Control repo", Place::Control),
        (Self::Organization, "Organization", Place::Organization),
        (Self::Cluster, "Cluster", Place::Cluster),
        (Self::Webhooks, "Webhooks", Place::Webhooks),
    ];
}

/// A value of the query.
pub(super) fn in_query(query: Option<&str>, name: &str) -> Option<String> {
    let pairs = query?.split('&').filter_map(|pair| pair.split_once('='));
    let value = pairs.into_iter().find(|(key, _)| *key == name)?.1;
    Some(percent_decode_str(value).decode_utf8_lossy().into_owned())
}

/// What was done, told on the page where its effect shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Told {
    Proposed,
    Committed,
    Merged,
    Rerun,
    Redelivered,
    BrokenTeam,
    RemovedTenant,
    AddedThirty,
    TakenKey,
    LostWebhook,
    Outage,
}

impl Told {
    const ALL: [Self; 11] = [
        Self::Proposed,
        Self::Committed,
        Self::Merged,
        Self::Rerun,
        Self::Redelivered,
        Self::BrokenTeam,
        Self::RemovedTenant,
        Self::AddedThirty,
        Self::TakenKey,
        Self::LostWebhook,
        Self::Outage,
    ];

    fn word(self) -> &'static str {
        match self {
            Self::Proposed => "proposed",
            Self::Committed => "committed",
            Self::Merged => "merged",
            Self::Rerun => "rerun",
            Self::Redelivered => "redelivered",
            Self::BrokenTeam => "broken-team",
            Self::RemovedTenant => "removed-tenant",
            Self::AddedThirty => "added-thirty",
            Self::TakenKey => "taken-key",
            Self::LostWebhook => "lost-webhook",
            Self::Outage => "outage",
        }
    }

    pub(super) fn in_query(query: Option<&str>) -> Option<Self> {
        let word = in_query(query, "told")?;
        Self::ALL.into_iter().find(|told| told.word() == word)
    }

    pub(super) fn notice(self) -> Notice {
        let (title, text) = self.words();
        Notice {
            tone: Tone::Good,
            title: title.to_owned(),
            text,
        }
    }

    /// What was done, and what to look for.
    fn words(self) -> (&'static str, Markup) {
        match self {
            Self::Proposed => (
                "The change is proposed",
                html! { "GitHub has told the App, which now makes the plan. It comes as a comment; its check decides about the merge." },
            ),
            Self::Committed => (
                "The commit is on the branch",
                html! { "The plan is made again, in the same comment." },
            ),
            Self::Merged => (
                "Merged",
                html! {
                    "The App now does what the plan said; its comment follows along. See what comes to be in the "
                    a href=(Place::Organization.address()) { "organization" } " and in the "
                    a href=(Place::Cluster.address()) { "cluster" } "."
                },
            ),
            Self::Rerun => (
                "The App is asked again",
                html! { "What is wanted is compared with what is there once more; the check tells the result." },
            ),
            Self::Redelivered => (
                "Sent again",
                html! { "The same event under the same id is on its way as a new delivery, at the top of the list." },
            ),
            Self::BrokenTeam => (
                "A team’s name is misspelt",
                html! { "Nobody has a team of this name. The check fails, the line of the file is marked below, and the merge stays shut. "
                "A new commit mends it." },
            ),
            Self::RemovedTenant => (
                "The removal is proposed",
                html! { "Read in the plan what would go and what stays: a repository is archived and never deleted, and a removal waits "
                "for days before anything is lost. Reverting the merge undoes it." },
            ),
            Self::AddedThirty => (
                "Thirty tenants are proposed",
                html! { "The plan says what each of them gets. After the merge they come one by one: watch the "
                a href=(Place::Organization.address()) { "organization" } " and the " a href=(Place::Cluster.address()) { "cluster" } "." },
            ),
            Self::TakenKey => (
                "The deploy key is gone",
                html! {
                    "Flux can no longer fetch this workspace. The App compares everything now and then, whether or not it was told of "
                    "something. Wait a moment, and a key is back here."
                },
            ),
            Self::LostWebhook => (
                "GitHub’s word of this pull request was lost",
                html! { "The merge waits for its check. Whenever everything is compared, every 15 seconds here, a plan that is missing is made. "
                "Or " a href=(Place::Webhooks.address()) { "send the delivery again" }
                ", or write " code { "/tenantry plan" } " in a comment: any event is a hint to look, and the result is the same." },
            ),
            Self::Outage => (
                "GitHub answers 502 for ten seconds, to the App and to this page",
                html! { "The change was proposed a moment before. Nothing is lost: the App tries again until the plan is there. "
                "Until then this page shows what it knew." },
            ),
        }
    }
}

#[cfg(test)]
mod tests;
