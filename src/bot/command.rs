//! Commands in comments: `/tenantry plan`, `/tenantry rotate <tenant>`, `/tenantry help`.

use anyhow::Context as _;

use crate::apply::rotation::{self, Refusal};
use crate::bot::control::Control;
use crate::bot::{Bot, Job, Work};
use crate::names::TenantName;
use crate::object::Permission;
use crate::queue::Next;
use crate::render::comment;

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Command {
    Plan,
    /// Replace the deploy key of this tenant.
    Rotate(TenantName),
    Help,
}

/// The command of a comment: its first line, if that begins with `/tenantry`. What we do not know is answered with help.
pub(super) fn parse(body: &str) -> Option<Command> {
    let mut words = body.trim_start().lines().next()?.split_whitespace();
    if words.next() != Some("/tenantry") {
        return None;
    }
    let command = match (words.next(), words.next(), words.next()) {
        (Some("plan"), None, None) => Some(Command::Plan),
        (Some("rotate"), Some(tenant), None) => tenant.parse().ok().map(Command::Rotate),
        _ => None,
    };
    Some(command.unwrap_or(Command::Help))
}

impl Bot {
    /// Obeys people who may write to the control repo, and nobody else.
    pub(super) async fn answer(
        &self,
        control: &Control,
        number: u64,
        author: &str,
        command: &Command,
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
            Command::Rotate(tenant) => {
                let answer = self.rotate(control, tenant).await?;
                self.reporter(control)
                    .create_comment(number, &answer)
                    .await?;
            }
            Command::Help => {
                self.reporter(control)
                    .create_comment(number, &comment::help())
                    .await?;
            }
        }
        Ok(Next::Done)
    }

    /// Has the key replaced, and says so; or why not.
    async fn rotate(&self, control: &Control, tenant: &TenantName) -> anyhow::Result<String> {
        let asked = rotation::ask(&self.shared.cluster, tenant, Some(&control.repository)).await;
        match asked {
            Ok(key) => {
                tracing::info!(repository = %control.repository, %tenant, %key, "its deploy key is to be replaced");
                let branch = &control.default_branch;
                Ok(comment::rotation(tenant, &key, branch))
            }
            Err(Refusal::Cluster(error)) => Err(error).context("ask for another deploy key"),
            Err(refusal) => Ok(comment::refusal(&refusal.to_string())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Command, parse};

    fn rotate(tenant: &str) -> Command {
        Command::Rotate(tenant.parse().unwrap())
    }

    #[test]
    fn a_command_is_the_first_line_and_nothing_else() {
        for (body, wanted) in [
            ("/tenantry plan", Some(Command::Plan)),
            ("  /tenantry   plan  \r\nthank you", Some(Command::Plan)),
            ("/tenantry help", Some(Command::Help)),
            ("/tenantry", Some(Command::Help)),
            ("/tenantry plan everything", Some(Command::Help)),
            ("/tenantry apply", Some(Command::Help)),
            ("/tenantry rotate shop", Some(rotate("shop"))),
            (
                "/tenantry rotate\tshop \nIt has leaked.",
                Some(rotate("shop")),
            ),
            ("/tenantry rotate", Some(Command::Help)),
            ("/tenantry rotate shop bank", Some(Command::Help)),
            ("/tenantry rotate ../shop", Some(Command::Help)),
            ("please /tenantry plan", None),
            ("> /tenantry plan", None),
            ("/tenantryplan", None),
            ("", None),
        ] {
            assert_eq!(parse(body), wanted, "{body}");
        }
    }
}
