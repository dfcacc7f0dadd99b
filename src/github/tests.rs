//! The client against a GitHub that fails as the real one does.

mod credentials;
mod history;
mod reading;
mod requests;
mod server;
mod telling;
