//! Commands in comments: `/tenantry plan`, `/tenantry help`.

use crate::bot::control::Control;
use crate::bot::{Bot, Job, Work};
use crate::object::Permission;
use crate::queue::Next;
use crate::render::comment;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Command {
    Plan,
    Help,
}

/// The command of a comment: its first line, if that begins with `/tenantry`. What we do not know is answered with help.
pub(super) fn parse(body: &str) -> Option<Command> {
    let mut words = body.trim_start().lines().next()?.split_whitespace();
    if words.next() != Some("/tenantry") {
        return None;
    }
    match (words.next(), words.next()) {
        (Some("plan"), None) => Some(Command::Plan),
        _ => Some(Command::Help),
    }
}

impl Bot {
    /// Obeys people who may write to the control repo, and nobody else.
    pub(super) async fn answer(
        &self,
        control: &Control,
        number: u64,
        author: &str,
        command: Command,
    ) -> anyhow::Result<Next<Job>> {
        let permission = self
            .reader(control)
            .permission_of(&control.repository, author)
            .await?;
        if permission.is_none_or(|permission| permission < Permission::Push) {
            tracing::info!(repository = %control.repository, number, "a command of somebody without write access");
            return Ok(Next::Done);
        }
        match command {
            Command::Plan => self.push(&control.repository, Work::Plan { number, looks: 0 }),
            Command::Help => {
                self.reporter(control)
                    .create_comment(number, &comment::help())
                    .await?;
            }
        }
        Ok(Next::Done)
    }
}

#[cfg(test)]
mod tests {
    use super::{Command, parse};

    #[test]
    fn a_command_is_the_first_line_and_nothing_else() {
        for (body, wanted) in [
            ("/tenantry plan", Some(Command::Plan)),
            ("  /tenantry   plan  \r\nthank you", Some(Command::Plan)),
            ("/tenantry help", Some(Command::Help)),
            ("/tenantry", Some(Command::Help)),
            ("/tenantry plan everything", Some(Command::Help)),
            ("/tenantry apply", Some(Command::Help)),
            ("please /tenantry plan", None),
            ("> /tenantry plan", None),
            ("/tenantryplan", None),
            ("", None),
        ] {
            assert_eq!(parse(body), wanted, "{body}");
        }
    }
}
