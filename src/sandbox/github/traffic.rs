//! What goes over the wire, whole: for whoever wants to hold it against GitHub's own descriptions.

use std::collections::BTreeMap;

use super::log::Request;

/// Who is told of everything that is sent.
pub(super) type Observer = Box<dyn Fn(Traffic) + Send + Sync>;

/// Something that was sent.
#[derive(Clone, Debug)]
pub enum Traffic {
    /// A request to GitHub, with what came back.
    Exchange(Box<Exchange>),
    /// A webhook from GitHub.
    Webhook(Webhook),
}

#[derive(Clone, Debug)]
pub struct Exchange {
    /// As the log has it at the end of the exchange.
    pub request: Request,
    /// The path without its query, and with names where it was asked by ids.
    pub path: String,
    /// By their names in small letters; `authorization` is left out.
    pub headers: BTreeMap<String, String>,
    /// As it came, read as JSON or not.
    pub body: Vec<u8>,
    /// None where the connection was closed without one.
    pub answer: Option<Answered>,
    /// Whether a fault made the answer up, or took it away.
    pub injected: bool,
}

/// An answer as it was sent.
#[derive(Clone, Debug)]
pub struct Answered {
    pub status: u16,
    /// By their names in small letters.
    pub headers: BTreeMap<String, String>,
    pub body: Vec<u8>,
}

/// A delivery as it was sent.
#[derive(Clone, Debug)]
pub struct Webhook {
    /// By their names in small letters.
    pub headers: BTreeMap<String, String>,
    pub body: Vec<u8>,
}
