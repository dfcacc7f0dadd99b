//! What a path names.

/// A path taken apart; nothing is looked up here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Path<'a> {
    Version,
    /// `/healthz`, `/livez`, `/readyz`.
    Health,
    /// `/api`.
    CoreVersions,
    /// `/apis`.
    Groups,
    /// `/apis/GROUP`.
    Group(&'a str),
    /// `/api/v1` or `/apis/GROUP/VERSION`.
    Resources {
        group: &'a str,
        version: &'a str,
    },
    /// `/openapi/v3`, and what is below it.
    OpenApi(&'a str),
    /// All objects of a kind, or those of a namespace.
    Collection(Place<'a>),
    Object {
        place: Place<'a>,
        name: &'a str,
        /// `status`, or empty.
        subresource: &'a str,
    },
}

/// Where objects of one kind are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Place<'a> {
    pub(super) group: &'a str,
    pub(super) version: &'a str,
    pub(super) plural: &'a str,
    pub(super) namespace: Option<&'a str>,
}

/// Reads a path; nothing where no API server has such a one.
pub(super) fn parse(path: &str) -> Option<Path<'_>> {
    let parts: Vec<&str> = path.trim_matches('/').split('/').collect();
    match parts.as_slice() {
        ["version"] => Some(Path::Version),
        ["healthz" | "livez" | "readyz", ..] => Some(Path::Health),
        ["api"] => Some(Path::CoreVersions),
        ["apis"] => Some(Path::Groups),
        ["openapi", ..] => Some(Path::OpenApi(path.trim_start_matches("/openapi"))),
        ["api", version] => Some(Path::Resources { group: "", version }),
        ["apis", group] => Some(Path::Group(group)),
        ["apis", group, version] => Some(Path::Resources { group, version }),
        ["api", version, rest @ ..] => objects("", version, rest),
        ["apis", group, version, rest @ ..] => objects(group, version, rest),
        _ => None,
    }
}

fn objects<'a>(group: &'a str, version: &'a str, rest: &[&'a str]) -> Option<Path<'a>> {
    let place = |plural, namespace| Place {
        group,
        version,
        plural,
        namespace,
    };
    match *rest {
        // A namespace is an object too, and has subresources of its own.
        ["namespaces", name] if group.is_empty() => Some(Path::Object {
            place: place("namespaces", None),
            name,
            subresource: "",
        }),
        ["namespaces", name, subresource @ ("status" | "finalize")] if group.is_empty() => {
            Some(Path::Object {
                place: place("namespaces", None),
                name,
                subresource,
            })
        }
        ["namespaces", namespace, plural] => Some(Path::Collection(place(plural, Some(namespace)))),
        ["namespaces", namespace, plural, name] => Some(Path::Object {
            place: place(plural, Some(namespace)),
            name,
            subresource: "",
        }),
        ["namespaces", namespace, plural, name, subresource] => Some(Path::Object {
            place: place(plural, Some(namespace)),
            name,
            subresource,
        }),
        [plural] => Some(Path::Collection(place(plural, None))),
        [plural, name] => Some(Path::Object {
            place: place(plural, None),
            name,
            subresource: "",
        }),
        [plural, name, subresource] => Some(Path::Object {
            place: place(plural, None),
            name,
            subresource,
        }),
        _ => None,
    }
}
