//! What may be done with objects: create, replace, patch, apply, delete. No HTTP here.

mod delete;
mod patch;
mod write;

use std::sync::Arc;

use serde_json::Value;

use super::kinds::Resource;
use super::object::Stored;
use super::ownership::Writer;

pub(super) use delete::{Deletion, Propagation, collect_garbage, delete, release};
pub(super) use patch::{Patch, yaml};
pub(super) use write::{create, patch, replace};

/// What a request is about, and how it wants to be done.
#[derive(Clone, Debug)]
pub(super) struct Order {
    pub(super) resource: Arc<Resource>,
    pub(super) namespace: Option<String>,
    /// Empty where something is to be made.
    pub(super) name: String,
    /// `status`, or empty.
    pub(super) subresource: String,
    pub(super) manager: String,
    pub(super) force: bool,
    pub(super) is_dry_run: bool,
    pub(super) now: i64,
}

/// What became of it.
#[derive(Debug)]
pub(super) struct Done {
    pub(super) code: u16,
    pub(super) object: Arc<Stored>,
}

impl Order {
    pub(super) fn key(&self) -> Arc<str> {
        super::object::key(self.namespace.as_deref(), &self.name)
    }

    fn writer(&self) -> Writer {
        Writer {
            manager: self.manager.clone(),
            api_version: self.resource.api_version(),
            subresource: self.subresource.clone(),
            now: self.now,
        }
    }

    fn is_status(&self) -> bool {
        self.subresource == "status"
    }
}

/// The text at a path of metadata.
fn metadata_text<'a>(object: &'a Value, key: &str) -> Option<&'a str> {
    object["metadata"][key]
        .as_str()
        .filter(|text| !text.is_empty())
}
