//! Global node ids in GitHub's present form: a prefix for the kind, then `MessagePack` in base64.

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};

use super::model::Id;

/// What a node id can stand for here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Node {
    Repository(Id),
    User(Id),
    Bot(Id),
    Organization(Id),
    Team(Id),
    PullRequest(Id),
    IssueComment(Id),
    Reaction(Id),
    CheckSuite(Id),
    CheckRun(Id),
    DeployKey(Id),
    App(Id),
    Installation(Id),
    /// Something that happened to a pull; each kind of event has a prefix of its own.
    Event {
        prefix: &'static str,
        id: Id,
    },
    Object {
        kind: ObjectKind,
        repository: Id,
        oid: String,
    },
    Reference {
        repository: Id,
        name: String,
    },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ObjectKind {
    Commit,
    Tree,
    Blob,
}

impl ObjectKind {
    fn prefix(self) -> &'static str {
        match self {
            Self::Commit => "C",
            Self::Tree => "T2",
            Self::Blob => "B",
        }
    }
}

impl Node {
    /// `R_kgDOAAAD6Q` and the like.
    pub(super) fn id(&self) -> String {
        match self {
            Self::Repository(id) => plain("R", *id),
            Self::User(id) => plain("U", *id),
            Self::Bot(id) => plain("BOT", *id),
            Self::Organization(id) => plain("O", *id),
            Self::Team(id) => plain("T", *id),
            Self::PullRequest(id) => plain("PR", *id),
            Self::IssueComment(id) => plain("IC", *id),
            Self::Reaction(id) => plain("REA", *id),
            Self::CheckSuite(id) => plain("CS", *id),
            Self::CheckRun(id) => plain("CR", *id),
            Self::DeployKey(id) => plain("DK", *id),
            Self::App(id) => plain("A", *id),
            Self::Installation(id) => STANDARD.encode(format!("023:IntegrationInstallation{id}")),
            Self::Event { prefix, id } => plain(prefix, *id),
            Self::Object {
                kind,
                repository,
                oid,
            } => named(kind.prefix(), *repository, oid),
            Self::Reference { repository, name } => named("REF", *repository, name),
        }
    }

    /// The node behind an id, if it has the form of one.
    pub(super) fn parse(id: &str) -> Option<Self> {
        let (prefix, rest) = id.split_once('_')?;
        let bytes = URL_SAFE_NO_PAD.decode(rest).ok()?;
        if let Some((repository, name)) = parse_named(&bytes) {
            let object = |kind| Self::Object {
                kind,
                repository,
                oid: name.clone(),
            };
            return match prefix {
                "C" => Some(object(ObjectKind::Commit)),
                "T2" => Some(object(ObjectKind::Tree)),
                "B" => Some(object(ObjectKind::Blob)),
                "REF" => Some(Self::Reference {
                    repository,
                    name: name.clone(),
                }),
                _ => None,
            };
        }
        let number: [u8; 4] = bytes.strip_prefix(&[0x92, 0x00, 0xCE])?.try_into().ok()?;
        let id = Id::from(u32::from_be_bytes(number));
        Some(match prefix {
            "R" => Self::Repository(id),
            "U" => Self::User(id),
            "BOT" => Self::Bot(id),
            "O" => Self::Organization(id),
            "T" => Self::Team(id),
            "PR" => Self::PullRequest(id),
            "IC" => Self::IssueComment(id),
            "REA" => Self::Reaction(id),
            "CS" => Self::CheckSuite(id),
            "CR" => Self::CheckRun(id),
            "DK" => Self::DeployKey(id),
            "A" => Self::App(id),
            _ => return None,
        })
    }
}

fn number(id: Id) -> [u8; 4] {
    u32::try_from(id)
        .expect("ids count up from a thousand")
        .to_be_bytes()
}

fn plain(prefix: &str, id: Id) -> String {
    let mut bytes = vec![0x92, 0x00, 0xCE];
    bytes.extend(number(id));
    format!("{prefix}_{}", URL_SAFE_NO_PAD.encode(bytes))
}

fn named(prefix: &str, repository: Id, name: &str) -> String {
    let mut bytes = vec![0x92, 0xCE];
    bytes.extend(number(repository));
    bytes.extend([
        0xD9,
        u8::try_from(name.len().min(255)).expect("cut to a byte"),
    ]);
    bytes.extend(name.bytes().take(255));
    format!("{prefix}_{}", URL_SAFE_NO_PAD.encode(bytes))
}

fn parse_named(bytes: &[u8]) -> Option<(Id, String)> {
    let rest = bytes.strip_prefix(&[0x92, 0xCE])?;
    let (repository, rest) = rest.split_first_chunk::<4>()?;
    let name = rest.strip_prefix(&[0xD9])?.get(1..)?;
    let name = String::from_utf8(name.to_vec()).ok()?;
    Some((Id::from(u32::from_be_bytes(*repository)), name))
}
