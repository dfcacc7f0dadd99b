//! The command line: what a person starts, and where the words go.

pub mod schema;
pub mod validate;

/// For whom something is printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Output {
    /// For a terminal.
    Tree,
    /// For a comment on GitHub.
    Markdown,
    /// For a program.
    Json,
}
