//! How a text must look: each format once as a check for the reader and once as a pattern for the JSON Schema.

use serde_json::{Value, json};

use super::{InvalidName, Period};
use crate::names::{
    BranchName, FullName, Login, NamespaceName, RepositoryName, TeamSlug, TenantName,
};

/// Resources that a `ResourceQuota` takes without a domain (`k8s.io/kubernetes/pkg/apis/core/helper`).
const QUOTA_RESOURCES: &[&str] = &[
    "configmaps",
    "cpu",
    "ephemeral-storage",
    "limits.cpu",
    "limits.ephemeral-storage",
    "limits.memory",
    "memory",
    "persistentvolumeclaims",
    "pods",
    "replicationcontrollers",
    "requests.cpu",
    "requests.ephemeral-storage",
    "requests.memory",
    "requests.storage",
    "resourcequotas",
    "secrets",
    "services",
    "services.loadbalancers",
    "services.nodeports",
];

/// Resources of a container, which a `LimitRange` limits.
const CONTAINER_RESOURCES: &[&str] = &["cpu", "ephemeral-storage", "memory"];

/// Labels and annotations that Tenantry, Flux or Kubernetes set; an asterisk stands for any name under the prefix.
const RESERVED_KEYS: &[&str] = &[
    "allowed.tenantry.dev/*",
    "app.kubernetes.io/instance",
    "app.kubernetes.io/managed-by",
    "kubernetes.io/metadata.name",
    "kustomize.toolkit.fluxcd.io/*",
    "pod-security.kubernetes.io/*",
    "tenantry.dev/*",
    "toolkit.fluxcd.io/tenant",
];

/// Begins the keys of annotations that the policies of deploy/admission read.
const POLICY_PREFIX: &str = "allowed.tenantry.dev/";
const POLICY_KEYS: &[&str] = &[
    "allowed.tenantry.dev/registries",
    "allowed.tenantry.dev/sources",
];

const REPOSITORY_PLACEHOLDERS: &[&str] = &["org", "tenant"];
const GROUP_PLACEHOLDERS: &[&str] = &["org", "team", "tenant"];

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Format {
    /// One line of free text, of at most 350 characters: GitHub's limit for a repository's description.
    Line,
    Login,
    TenantName,
    NamespaceName,
    /// A namespace's name, or `*` for all of the tenant's.
    NamespaceOrAll,
    /// A namespace's name in which `*` stands for anything.
    NamespacePattern,
    TeamSlug,
    BranchName,
    FullName,
    /// A repository's name with `{tenant}` and `{org}`.
    RepositoryName,
    /// A Kubernetes group with `{team}`, `{tenant}` and `{org}`.
    GroupName,
    /// A directory in a repository.
    Directory,
    Period,
    /// A period that is not zero.
    Interval,
    ClusterRole,
    SubjectName,
    Quantity,
    QuotaResource,
    ContainerResource,
    LabelKey,
    AnnotationKey,
    LabelValue,
    AnyText,
}

impl Format {
    /// Whether a YAML number is as good as text.
    pub(super) fn takes_numbers(self) -> bool {
        self == Self::Quantity
    }

    /// Words to suggest from where a text is wrong.
    pub(super) fn words(self) -> &'static [&'static str] {
        match self {
            Self::QuotaResource => QUOTA_RESOURCES,
            Self::ContainerResource => CONTAINER_RESOURCES,
            _ => &[],
        }
    }

    /// Why the text does not have this format; the reason continues ``"`text` "``.
    pub(super) fn check(self, text: &str) -> Result<(), InvalidName> {
        match self {
            Self::Line => line(text, 350),
            Self::Login => parses::<Login>(text),
            Self::TenantName => parses::<TenantName>(text),
            Self::NamespaceOrAll if text == "*" => Ok(()),
            Self::NamespaceName | Self::NamespaceOrAll => parses::<NamespaceName>(text),
            Self::NamespacePattern => namespace_pattern(text),
            Self::TeamSlug => parses::<TeamSlug>(text),
            Self::BranchName => parses::<BranchName>(text),
            Self::FullName => parses::<FullName>(text),
            Self::RepositoryName => repository_template(text),
            Self::GroupName => group_template(text),
            Self::Directory => directory(text).map(|_| ()),
            Self::Period => period(text),
            Self::Interval => interval(text),
            Self::ClusterRole => cluster_role(text),
            Self::SubjectName if text.is_empty() => Err(invalid("is empty")),
            Self::SubjectName => line(text, 253),
            Self::Quantity => quantity(text),
            Self::QuotaResource => resource(text, QUOTA_RESOURCES),
            Self::ContainerResource => resource(text, CONTAINER_RESOURCES),
            Self::LabelKey => label_key(text),
            Self::AnnotationKey => annotation_key(text),
            Self::LabelValue if text.is_empty() => Ok(()),
            Self::LabelValue => short_name(text),
            Self::AnyText => Ok(()),
        }
    }

    /// The same as a JSON Schema of text, without its `type`.
    pub(super) fn schema(self) -> Value {
        const LABEL: &str = "[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?";
        const NOT_A_REPOSITORY: &str = r"(?!\.{1,2}$)(?!.*\.[gG][iI][tT]$)";
        match self {
            Self::Line => pattern(r"^[^\x00-\x1f\x7f-\x9f]{0,350}$"),
            Self::Login => pattern("^[A-Za-z0-9_-]{1,39}$"),
            Self::TenantName => pattern("^[a-z0-9](?:[a-z0-9-]{0,48}[a-z0-9])?$"),
            Self::NamespaceName => pattern(&format!("^{LABEL}$")),
            Self::NamespaceOrAll => pattern(&format!(r"^(?:\*|{LABEL})$")),
            Self::NamespacePattern => pattern("^[a-z0-9*-]{1,63}$"),
            Self::TeamSlug => pattern("^[a-z0-9._-]{1,255}$"),
            Self::BranchName => pattern(
                r"^(?![/.-])(?!.*(?:\.\.|//|/\.))(?!.*\.lock(?:/|$))(?!.*[/.]$)[A-Za-z0-9._/-]{1,200}$",
            ),
            Self::FullName => pattern(&format!(
                "^[A-Za-z0-9_-]{{1,39}}/{NOT_A_REPOSITORY}[A-Za-z0-9._-]{{1,100}}$"
            )),
            Self::RepositoryName => pattern(&format!(
                r"^{NOT_A_REPOSITORY}(?:[A-Za-z0-9._-]|\{{(?:org|tenant)\}}){{1,100}}$"
            )),
            Self::GroupName => {
                pattern(r"^(?:[^{}\x00-\x1f\x7f-\x9f]|\{(?:org|team|tenant)\}){1,253}$")
            }
            Self::Directory => pattern(
                r"^(?!/)(?!(?:.*/)?(?:\.\.|\.[gG][iI][tT])(?:/|$))[A-Za-z0-9._@+/-]{1,200}$",
            ),
            Self::Period => pattern(&format!("^(?=.){PERIOD}$")),
            Self::Interval => pattern(&format!("^(?=.*[1-9]){PERIOD}$")),
            Self::ClusterRole => pattern(r"^(?!cluster-admin$)(?!\.{1,2}$)[A-Za-z0-9:._-]{1,253}$"),
            Self::SubjectName => pattern(r"^[^\x00-\x1f\x7f-\x9f]{1,253}$"),
            Self::Quantity => json!({
                "pattern": r"^(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[KMGTPE]i|[numkMGTPE]|[eE][+-]?[0-9]{1,3})?$",
                "minimum": 0,
            }),
            Self::QuotaResource => resource_pattern(QUOTA_RESOURCES),
            Self::ContainerResource => resource_pattern(CONTAINER_RESOURCES),
            Self::LabelKey => label_key_schema(),
            Self::AnnotationKey => {
                json!({ "anyOf": [{ "enum": POLICY_KEYS }, label_key_schema()] })
            }
            Self::LabelValue => pattern(&format!("^(?:{SHORT_NAME})?$")),
            Self::AnyText => json!({}),
        }
    }
}

const PERIOD: &str = "(?:[0-9]{1,4}d)?(?:[0-9]{1,6}h)?(?:[0-9]{1,6}m)?(?:[0-9]{1,6}s)?";
const SHORT_NAME: &str = "[A-Za-z0-9](?:[A-Za-z0-9_.-]{0,61}[A-Za-z0-9])?";
const DOMAIN: &str =
    r"(?=[^/]{1,253}/)[a-z0-9](?:[a-z0-9-]*[a-z0-9])?(?:\.[a-z0-9](?:[a-z0-9-]*[a-z0-9])?)*";

fn pattern(pattern: &str) -> Value {
    json!({ "pattern": pattern })
}

fn resource_pattern(words: &[&str]) -> Value {
    let words = words.join("|").replace('.', r"\.");
    pattern(&format!(
        r"^(?:{words}|(?:requests\.)?hugepages-[0-9]+[KMGTPE]i|{DOMAIN}/{SHORT_NAME})$"
    ))
}

fn label_key_schema() -> Value {
    let reserved = RESERVED_KEYS.join("|");
    let reserved = reserved.replace('.', r"\.").replace('*', ".*");
    json!({
        "pattern": format!("^(?:{DOMAIN}/)?{SHORT_NAME}$"),
        "not": { "pattern": format!("^(?:{reserved})$") },
    })
}

fn invalid(reason: impl Into<String>) -> InvalidName {
    InvalidName(reason.into())
}

fn parses<Name: std::str::FromStr<Err = InvalidName>>(text: &str) -> Result<(), InvalidName> {
    text.parse::<Name>().map(|_| ())
}

fn line(text: &str, longest: usize) -> Result<(), InvalidName> {
    if text.chars().count() > longest {
        return Err(invalid(format!("is longer than {longest} characters")));
    }
    if text.chars().any(char::is_control) {
        return Err(invalid(
            "has a line break or another control character in it",
        ));
    }
    Ok(())
}

fn namespace_pattern(text: &str) -> Result<(), InvalidName> {
    let allowed = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '-' | '*');
    if text.is_empty() || text.len() > 63 || !text.chars().all(allowed) {
        return Err(invalid(
            "is not a pattern of namespaces: lower-case letters, digits, `-` and `*`",
        ));
    }
    Ok(())
}

fn repository_template(text: &str) -> Result<(), InvalidName> {
    parses::<RepositoryName>(&sample(text, REPOSITORY_PLACEHOLDERS)?)
}

fn group_template(text: &str) -> Result<(), InvalidName> {
    Format::SubjectName.check(&sample(text, GROUP_PLACEHOLDERS)?)
}

/// One character for each placeholder: how long the real name is, is seen for each tenant.
fn sample(template: &str, placeholders: &[&'static str]) -> Result<String, InvalidName> {
    let values: Vec<_> = placeholders.iter().map(|name| (*name, "x")).collect();
    expand(template, &values)
}

/// The template with each `{placeholder}` replaced by its value.
pub(super) fn expand(template: &str, values: &[(&str, &str)]) -> Result<String, InvalidName> {
    let known = || {
        let names: Vec<String> = values
            .iter()
            .map(|(name, _)| format!("`{{{name}}}`"))
            .collect();
        names.join(", ")
    };
    let mut expanded = String::new();
    let mut rest = template;
    while let Some(brace) = rest.find(['{', '}']) {
        expanded += &rest[..brace];
        let placeholder = rest[brace..]
            .strip_prefix('{')
            .and_then(|after| after.split_once('}'))
            .ok_or_else(|| invalid(format!("has a brace that belongs to none of {}", known())))?;
        let (name, after) = placeholder;
        let value = values
            .iter()
            .find(|(known, _)| *known == name)
            .ok_or_else(|| invalid(format!("has another placeholder than {}", known())))?;
        expanded += value.1;
        rest = after;
    }
    Ok(expanded + rest)
}

/// The directory as Flux is told it: `./` first, nothing needless in it.
pub(super) fn directory(text: &str) -> Result<String, InvalidName> {
    let allowed =
        |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '@' | '+' | '/' | '-');
    if text.is_empty() || text.len() > 200 {
        return Err(invalid("is empty or longer than 200 characters"));
    }
    if let Some(character) = text.chars().find(|&c| !allowed(c)) {
        return Err(invalid(format!(
            "is not a directory: it contains {character:?}"
        )));
    }
    if text.starts_with('/') {
        return Err(invalid(
            "is absolute: it must be relative to the repository's root",
        ));
    }
    if text.split('/').any(|part| part == "..") {
        return Err(invalid("could leave the repository: `..` is not allowed"));
    }
    if text
        .split('/')
        .any(|part| part.eq_ignore_ascii_case(".git"))
    {
        return Err(invalid("is Git's own directory"));
    }
    let parts = text.split('/').filter(|part| !matches!(*part, "" | "."));
    Ok(format!("./{}", parts.collect::<Vec<_>>().join("/")))
}

/// Days, hours, minutes, seconds in this order, each at most once; well below the 292 years that Go can count.
fn period(text: &str) -> Result<(), InvalidName> {
    let wrong = || invalid("is not a duration like `90s`, `10m`, `1h30m` or `180d`");
    let mut units = [('d', 4), ('h', 6), ('m', 6), ('s', 6)].iter();
    for part in text.split_inclusive(|c: char| c.is_ascii_alphabetic()) {
        let unit = part.chars().last().ok_or_else(wrong)?;
        let (_, longest) = units.find(|(known, _)| *known == unit).ok_or_else(wrong)?;
        if part.len() - 1 > *longest {
            return Err(invalid("is too long a time"));
        }
    }
    text.parse::<Period>().map(|_| ()).map_err(|_| wrong())
}

fn interval(text: &str) -> Result<(), InvalidName> {
    period(text)?;
    if text.contains(|digit: char| digit.is_ascii_digit() && digit != '0') {
        Ok(())
    } else {
        Err(invalid("is no time at all"))
    }
}

fn cluster_role(text: &str) -> Result<(), InvalidName> {
    let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, ':' | '.' | '_' | '-');
    if text == "cluster-admin" {
        return Err(invalid("is never given to a tenant"));
    }
    if matches!(text, "" | "." | "..") || text.len() > 253 || !text.chars().all(allowed) {
        return Err(invalid("is not the name of a ClusterRole"));
    }
    Ok(())
}

/// Kubernetes' `resource.Quantity`, without a sign.
fn quantity(text: &str) -> Result<(), InvalidName> {
    let wrong = || invalid("is not a quantity like `500m`, `2`, `1.5` or `10Gi`");
    let number = text.trim_end_matches(|c: char| !c.is_ascii_digit() && c != '.');
    let (number, suffix) = match text.find(['e', 'E']) {
        Some(exponent) if is_exponent(&text[exponent + 1..]) => (&text[..exponent], ""),
        _ => (number, &text[number.len()..]),
    };
    let suffixes = [
        "", "n", "u", "m", "k", "M", "G", "T", "P", "E", "Ki", "Mi", "Gi", "Ti", "Pi", "Ei",
    ];
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    let digits = |text: &str| text.chars().all(|c| c.is_ascii_digit());
    let is_number = digits(whole) && digits(fraction) && whole.len() + fraction.len() > 0;
    if is_number && suffixes.contains(&suffix) {
        Ok(())
    } else {
        Err(wrong())
    }
}

fn is_exponent(text: &str) -> bool {
    let digits = text.strip_prefix(['+', '-']).unwrap_or(text);
    (1..=3).contains(&digits.len()) && digits.chars().all(|c| c.is_ascii_digit())
}

fn resource(text: &str, words: &[&str]) -> Result<(), InvalidName> {
    if words.contains(&text) || is_huge_page(text) {
        return Ok(());
    }
    match text.split_once('/') {
        Some(_) => qualified_name(text),
        None => Err(invalid("is not a resource that Kubernetes counts")),
    }
}

fn is_huge_page(text: &str) -> bool {
    let size = text.strip_prefix("requests.").unwrap_or(text);
    let size = size
        .strip_prefix("hugepages-")
        .and_then(|size| size.strip_suffix('i'))
        .and_then(|size| size.strip_suffix(['K', 'M', 'G', 'T', 'P', 'E']));
    size.is_some_and(|digits| !digits.is_empty() && digits.chars().all(|c| c.is_ascii_digit()))
}

fn label_key(text: &str) -> Result<(), InvalidName> {
    qualified_name(text)?;
    let is_reserved = |reserved: &str| match reserved.strip_suffix('*') {
        Some(prefix) => text.starts_with(prefix),
        None => reserved == text,
    };
    if RESERVED_KEYS.iter().any(|reserved| is_reserved(reserved)) {
        return Err(invalid("is reserved: Tenantry, Flux or Kubernetes set it"));
    }
    Ok(())
}

fn annotation_key(text: &str) -> Result<(), InvalidName> {
    if POLICY_KEYS.contains(&text) {
        return Ok(());
    }
    if text.starts_with(POLICY_PREFIX) {
        let known = POLICY_KEYS.join("` and `");
        return Err(invalid(format!(
            "is not one of those that are read: `{known}`"
        )));
    }
    label_key(text)
}

/// `name` or `domain/name`, as keys of labels and annotations are.
fn qualified_name(text: &str) -> Result<(), InvalidName> {
    let Some((domain, name)) = text.split_once('/') else {
        return short_name(text);
    };
    let label = |label: &str| {
        let allowed = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
        !label.is_empty()
            && !label.starts_with('-')
            && !label.ends_with('-')
            && label.chars().all(allowed)
    };
    if domain.len() > 253 || !domain.split('.').all(label) {
        return Err(invalid("does not begin with a domain before its `/`"));
    }
    short_name(name)
}

fn short_name(text: &str) -> Result<(), InvalidName> {
    let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    let outer = |c: char| c.is_ascii_alphanumeric();
    if text.len() > 63 {
        return Err(invalid("is longer than 63 characters"));
    }
    if !text.starts_with(outer) || !text.ends_with(outer) || !text.chars().all(allowed) {
        return Err(invalid(
            "must be letters, digits, `-`, `_` and `.`, a letter or digit first and last",
        ));
    }
    Ok(())
}
