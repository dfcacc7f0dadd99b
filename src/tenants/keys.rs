//! Every key of the file, once: the reader, its suggestions, the defaults and the JSON Schema come from these tables.

use super::format::Format;
use super::{
    DataLoss, KeyAlgorithm, Lockdown, NamespaceRemoval, NetworkProfile, OnRemove, Permission,
    PodSecurity, Role, SubjectKind, Visibility,
};

/// The keys that a map may have.
#[derive(Debug)]
pub(super) struct Table {
    /// What the map is, in messages: `a tenant`.
    pub(super) what: &'static str,
    /// In groups, so that tables can share them.
    pub(super) keys: &'static [&'static [Key]],
}

impl Table {
    pub(super) fn all(&self) -> impl Iterator<Item = &'static Key> {
        self.keys.iter().copied().flatten()
    }

    pub(super) fn key(&self, name: &str) -> Option<&'static Key> {
        self.all().find(|key| key.name == name)
    }
}

#[derive(Debug)]
pub(super) struct Key {
    pub(super) name: &'static str,
    pub(super) shape: Shape,
    pub(super) presence: Presence,
    /// One sentence for the reader of an editor's tooltip.
    pub(super) doc: &'static str,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Presence {
    Required,
    /// May be left out or `null`, and then nothing takes its place.
    Optional,
    /// May be left out or `null`, and is this then, as it would be written.
    Default(&'static str),
}

/// What stands behind a key.
#[derive(Debug)]
pub(super) enum Shape {
    Bool,
    /// A whole number from 0.
    Count,
    Text(Format),
    Word(&'static [&'static str]),
    Map(&'static Table),
    /// A map with keys of the user's own choice; `null` removes one that a lower layer set.
    Entries(&'static Entries),
    List(&'static Shape),
}

#[derive(Debug)]
pub(super) struct Entries {
    pub(super) key: Format,
    pub(super) value: Format,
}

const fn key(name: &'static str, shape: Shape, presence: Presence, doc: &'static str) -> Key {
    Key {
        name,
        shape,
        presence,
        doc,
    }
}

use Presence::{Default, Optional, Required};
use Shape::{Bool, Count, List, Map, Text, Word};

pub(super) static FILE: Table = Table {
    what: "the file",
    keys: &[&[
        key(
            "organization",
            Text(Format::Login),
            Optional,
            "The GitHub organisation of the tenants; the control repo's owner if left out.",
        ),
        key(
            "protectedNamespaces",
            List(&Text(Format::NamespacePattern)),
            Optional,
            "Namespaces no tenant may have, `*` for anything; added to default, kube-*, flux-system, openshift*, tenantry-system, tenant-*.",
        ),
        key(
            "maxRemovalsPerMerge",
            Count,
            Default("2"),
            "How many tenants one merge may remove; more are held.",
        ),
        key(
            "flux",
            Map(&FLUX),
            Optional,
            "What is expected of Flux on the cluster.",
        ),
        key(
            "defaults",
            Map(&DEFAULTS),
            Optional,
            "What holds for every tenant that does not say otherwise.",
        ),
        key("tenants", List(&Map(&TENANT)), Required, "The tenants."),
    ]],
};

static FLUX: Table = Table {
    what: "`flux`",
    keys: &[&[key(
        "lockdown",
        Word(Lockdown::WORDS),
        Default("require"),
        "What to do when Flux is not locked down to the tenants' service accounts.",
    )]],
};

pub(super) static DEFAULTS: Table = Table {
    what: "`defaults`",
    keys: &[
        &[key(
            "repository",
            Map(&REPOSITORY_DEFAULTS),
            Optional,
            "Each tenant's workspace, its repository on GitHub.",
        )],
        SETTINGS,
    ],
};

pub(super) static TENANT: Table = Table {
    what: "a tenant",
    keys: &[
        &[
            key(
                "name",
                Text(Format::TenantName),
                Required,
                "The tenant's name; its control namespace is `tenant-<name>`.",
            ),
            key(
                "description",
                Text(Format::Line),
                Default(""),
                "What the tenant is for, in a line.",
            ),
            key(
                "suspended",
                Bool,
                Default("false"),
                "Flux is suspended and teams can only pull.",
            ),
            key(
                "renamedFrom",
                Text(Format::TenantName),
                Optional,
                "The name that this tenant had before.",
            ),
            key(
                "githubTeams",
                List(&Map(&TEAM)),
                Optional,
                "The teams that work on the workspace and in the namespaces.",
            ),
            key(
                "namespaces",
                List(&Map(&NAMESPACE)),
                Optional,
                "The tenant's workload namespaces.",
            ),
            key(
                "additionalRoleBindings",
                List(&Map(&ROLE_BINDING)),
                Optional,
                "RoleBindings in the tenant's namespaces beside those of its teams.",
            ),
            key(
                "repository",
                Map(&REPOSITORY),
                Optional,
                "The tenant's workspace, its repository on GitHub.",
            ),
        ],
        SETTINGS,
    ],
};

/// What both the defaults and a tenant may say.
const SETTINGS: &[Key] = &[
    key(
        "teamPermission",
        Word(Permission::WORDS),
        Default("push"),
        "What a team may do on the workspace.",
    ),
    key(
        "groupName",
        Text(Format::GroupName),
        Default("{team}"),
        "A team's Kubernetes group, with {team}, {tenant} and {org}; `{org}:{team}` is what Dex emits.",
    ),
    key(
        "role",
        Word(Role::WORDS),
        Default("admin"),
        "The ClusterRole of a team's people in the workload namespaces.",
    ),
    key(
        "reconcilerRole",
        Text(Format::ClusterRole),
        Default("admin"),
        "The ClusterRole of Flux in the workload namespaces: admin, edit or another; never cluster-admin.",
    ),
    key(
        "deployKey",
        Map(&DEPLOY_KEY),
        Optional,
        "The SSH key that Flux reads the workspace with.",
    ),
    key(
        "sync",
        Map(&SYNC),
        Optional,
        "How Flux syncs the workspace.",
    ),
    key(
        "namespace",
        Map(&NAMESPACE_DEFAULTS),
        Optional,
        "What holds for every namespace that does not say otherwise.",
    ),
    key(
        "removal",
        Map(&REMOVAL),
        Optional,
        "What happens once the tenant is taken out of the file.",
    ),
];

static REPOSITORY_DEFAULTS: Table = Table {
    what: "`defaults.repository`",
    keys: &[REPOSITORY_SETTINGS],
};

pub(super) static REPOSITORY: Table = Table {
    what: "`repository`",
    keys: &[
        &[key(
            "adopt",
            Bool,
            Default("false"),
            "The repository exists already and may be taken over.",
        )],
        REPOSITORY_SETTINGS,
    ],
};

const REPOSITORY_SETTINGS: &[Key] = &[
    key(
        "name",
        Text(Format::RepositoryName),
        Default("{tenant}-workspace"),
        "The repository's name, with {tenant} and {org}.",
    ),
    key(
        "visibility",
        Word(Visibility::WORDS),
        Default("private"),
        "Who can see the repository.",
    ),
    key(
        "branch",
        Text(Format::BranchName),
        Default("main"),
        "The default branch, which Flux syncs.",
    ),
    key(
        "path",
        Text(Format::Directory),
        Default("./"),
        "The directory that Flux syncs.",
    ),
    key(
        "template",
        Text(Format::FullName),
        Optional,
        "The template repository, `owner/name`, that a new repository is made from.",
    ),
    key(
        "onRemove",
        Word(OnRemove::WORDS),
        Default("archive"),
        "What becomes of the repository when the tenant is removed.",
    ),
];

pub(super) static TEAM: Table = Table {
    what: "a team",
    keys: &[&[
        key(
            "name",
            Text(Format::TeamSlug),
            Required,
            "The team's slug, as in `@organisation/slug`.",
        ),
        key(
            "permission",
            Word(Permission::WORDS),
            Optional,
            "What the team may do on the workspace; `teamPermission` if left out.",
        ),
        key(
            "role",
            Word(Role::WORDS),
            Optional,
            "The ClusterRole of the team's people; the tenant's `role` if left out.",
        ),
        key(
            "namespaces",
            List(&Text(Format::NamespaceOrAll)),
            Optional,
            "The tenant's namespaces that the role holds in; all if left out.",
        ),
    ]],
};

static NAMESPACE_DEFAULTS: Table = Table {
    what: "`namespace`",
    keys: &[NAMESPACE_SETTINGS],
};

pub(super) static NAMESPACE: Table = Table {
    what: "a namespace",
    keys: &[
        &[
            key(
                "name",
                Text(Format::NamespaceName),
                Required,
                "The namespace's name; no other tenant has it.",
            ),
            key(
                "adopt",
                Bool,
                Default("false"),
                "The namespace exists already and may be taken over once it is labelled `tenantry.dev/adopt: <tenant>`.",
            ),
        ],
        NAMESPACE_SETTINGS,
    ],
};

const NAMESPACE_SETTINGS: &[Key] = &[
    key(
        "podSecurity",
        Word(PodSecurity::WORDS),
        Default("baseline"),
        "The Pod Security Standard that is enforced.",
    ),
    key(
        "networkPolicy",
        Word(NetworkProfile::WORDS),
        Default("isolated"),
        "isolated: traffic within the tenant, DNS and the internet; ingress-only: nothing foreign comes in; none: no policy.",
    ),
    key(
        "quota",
        Shape::Entries(&Entries {
            key: Format::QuotaResource,
            value: Format::Quantity,
        }),
        Optional,
        "The hard limits of a ResourceQuota, such as `requests.cpu: \"12\"`.",
    ),
    key(
        "limits",
        Map(&LIMITS),
        Optional,
        "The limits of each container, as a LimitRange has them.",
    ),
    key(
        "labels",
        Shape::Entries(&Entries {
            key: Format::LabelKey,
            value: Format::LabelValue,
        }),
        Optional,
        "Labels of the namespace beside Tenantry's own.",
    ),
    key(
        "annotations",
        Shape::Entries(&Entries {
            key: Format::AnnotationKey,
            value: Format::AnyText,
        }),
        Optional,
        "Annotations of the namespace; `allowed.tenantry.dev/registries` and `allowed.tenantry.dev/sources` limit where images and sources come from.",
    ),
];

const CONTAINER_LIMITS: Shape = Shape::Entries(&Entries {
    key: Format::ContainerResource,
    value: Format::Quantity,
});

static LIMITS: Table = Table {
    what: "`limits`",
    keys: &[&[
        key(
            "default",
            CONTAINER_LIMITS,
            Optional,
            "The limit of a container that names none.",
        ),
        key(
            "defaultRequest",
            CONTAINER_LIMITS,
            Optional,
            "The request of a container that names none.",
        ),
        key(
            "max",
            CONTAINER_LIMITS,
            Optional,
            "The most that a container may ask for.",
        ),
        key(
            "min",
            CONTAINER_LIMITS,
            Optional,
            "The least that a container must ask for.",
        ),
    ]],
};

static DEPLOY_KEY: Table = Table {
    what: "`deployKey`",
    keys: &[&[
        key(
            "algorithm",
            Word(KeyAlgorithm::WORDS),
            Default("ed25519"),
            "The kind of key.",
        ),
        key(
            "readOnly",
            Bool,
            Default("true"),
            "Whether the key cannot push.",
        ),
        key(
            "rotateAfter",
            Text(Format::Interval),
            Default("180d"),
            "How old the key may become.",
        ),
    ]],
};

static SYNC: Table = Table {
    what: "`sync`",
    keys: &[&[
        key(
            "interval",
            Text(Format::Interval),
            Default("10m"),
            "How often Flux looks.",
        ),
        key(
            "timeout",
            Text(Format::Interval),
            Default("3m"),
            "How long Flux tries.",
        ),
        key(
            "prune",
            Bool,
            Default("true"),
            "Whether Flux removes what is no longer in the repository.",
        ),
        key(
            "wait",
            Bool,
            Default("false"),
            "Whether Flux waits until what it applied is ready.",
        ),
    ]],
};

static REMOVAL: Table = Table {
    what: "`removal`",
    keys: &[&[
        key(
            "holdFor",
            Text(Format::Period),
            Default("7d"),
            "How long a removed tenant is only suspended.",
        ),
        key(
            "namespaces",
            Word(NamespaceRemoval::WORDS),
            Default("delete"),
            "What becomes of the namespaces then.",
        ),
        key(
            "dataLoss",
            Word(DataLoss::WORDS),
            Default("forbid"),
            "Whether namespaces with volumes may be deleted.",
        ),
    ]],
};

pub(super) static ROLE_BINDING: Table = Table {
    what: "a role binding",
    keys: &[&[
        key(
            "clusterRole",
            Text(Format::ClusterRole),
            Required,
            "The ClusterRole that is bound; never cluster-admin.",
        ),
        key("subjects", List(&Map(&SUBJECT)), Required, "Who gets it."),
        key(
            "namespaces",
            List(&Text(Format::NamespaceOrAll)),
            Optional,
            "The tenant's namespaces that it holds in; `*` or left out: all.",
        ),
    ]],
};

pub(super) static SUBJECT: Table = Table {
    what: "a subject",
    keys: &[&[
        key(
            "kind",
            Word(SubjectKind::WORDS),
            Required,
            "What kind of subject it is.",
        ),
        key(
            "name",
            Text(Format::SubjectName),
            Required,
            "Its name, as Kubernetes knows it.",
        ),
        key(
            "namespace",
            Text(Format::NamespaceName),
            Optional,
            "The namespace of a ServiceAccount.",
        ),
    ]],
};
