//! The contract with GitHub, kept by both sides: what the app asks, what the embedded GitHub answers and what it tells
//! are held against GitHub's own descriptions, in every story.
//!
//! ```text
//! contract.rs        listens in, has it judged at the end of a story, leaves a note of what was used
//!   verdict.rs         the judge                               known.rs  what GitHub describes wrongly
//!   openapi.rs         REST: endpoints, requests, answers      schema.rs  their schemas
//!   graphql.rs         queries, variables, data
//!   webhooks.rs        what GitHub tells
//!   permissions.rs     what each of them takes                 appetite.rs  what the App was granted and used
//!   descriptions.rs    GitHub's files
//!   proofs.rs          the judge refuses what is wrong         examples.rs  what GitHub shows, and our queries
//!   tour.rs            every endpoint of the embedded GitHub
//! ```
//!
//! `tests/permissions.rs` sums up what all stories have used.

mod appetite;
mod descriptions;
mod examples;
mod graphql;
mod known;
mod openapi;
mod permissions;
mod proofs;
mod schema;
mod tour;
mod verdict;
mod webhooks;

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::{fs, thread};

use tenantry::sandbox::github::{GitHub, Traffic};

use appetite::Used;
use known::{KNOWN, Known};
use verdict::Verdict;

/// The user agent of a story that asks by its own hand.
const BY_HAND: &str = "a story";

/// That of whoever fetches in Flux's place.
const PRETEND_FLUX: &str = "source-controller";

/// What was sent, until it is judged.
type Heard = Arc<Mutex<Vec<Traffic>>>;

/// Listens in from now on.
fn listen(github: &GitHub) -> Heard {
    let heard = Heard::default();
    let ear = Arc::clone(&heard);
    github.observe(move |sent| {
        ear.lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push(sent);
    });
    heard
}

fn taken(heard: &Heard) -> Vec<Traffic> {
    std::mem::take(&mut *heard.lock().unwrap_or_else(PoisonError::into_inner))
}

/// Everything that a GitHub sends and is sent, to be judged once its story is over.
pub(crate) struct Contract {
    heard: Heard,
    judged: bool,
}

impl Contract {
    pub(crate) fn of(github: &GitHub) -> Self {
        Self {
            heard: listen(github),
            judged: false,
        }
    }

    /// Fails unless everything was as GitHub describes it.
    pub(crate) fn judge(mut self) {
        self.judged = true;
        let verdict = Verdict::of(&taken(&self.heard));
        note(verdict.used);
        let faults = Vec::from_iter(verdict.faults).join("\n");
        assert!(
            faults.is_empty(),
            "GitHub describes it otherwise:\n{faults}"
        );
    }
}

impl Drop for Contract {
    fn drop(&mut self) {
        assert!(
            self.judged || thread::panicking(),
            "a story ends with its judgement"
        );
    }
}

/// Every entry of the judge's own lists, to be of use in some story.
fn entries() -> BTreeSet<String> {
    let known = KNOWN.iter().map(Known::entry);
    known.chain(permissions::entries()).collect()
}

/// Leaves behind what this test used, for the sum of all.
fn note(mut used: Used) {
    static NOTED: Mutex<BTreeMap<String, Vec<Used>>> = Mutex::new(BTreeMap::new());
    used.all_entries = entries();
    let story = thread::current()
        .name()
        .unwrap_or("a test")
        .replace("::", ".");
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("stories");
    let mut noted = NOTED.lock().unwrap_or_else(PoisonError::into_inner);
    // A story may have more than one world.
    let parts = noted.entry(story.clone()).or_default();
    parts.push(used);
    let json = serde_json::to_vec(parts).expect("it can be written as JSON");
    fs::create_dir_all(&folder)
        .and_then(|()| fs::write(folder.join(story + ".json"), json))
        .expect("the target folder can be written");
}
