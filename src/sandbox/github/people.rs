//! What a person does on GitHub, in its pages or with git, and what GitHub tells Apps about it.

use super::GitHub;
use super::actions::{Edits, MergeMethod, NewPull};
use super::git::Oid;
use super::model::{Id, Permission, PullState, World};

/// Somebody who is signed in.
pub struct Person<'a> {
    github: &'a GitHub,
    id: Id,
}

impl<'a> Person<'a> {
    pub(super) fn new(github: &'a GitHub, id: Id) -> Self {
        Self { github, id }
    }

    fn on<T>(&self, repository: &str, act: impl FnOnce(&mut World, Id) -> T) -> T {
        let id = self.github.repository_id(repository);
        self.github.edit(|world| act(world, id))
    }

    /// Commits and pushes files (`None` removes one); a new branch starts at the default branch.
    pub fn commit(
        &self,
        repository: &str,
        branch: &str,
        message: &str,
        files: &[(&str, Option<&str>)],
    ) -> Oid {
        let edits: Edits = files
            .iter()
            .map(|(path, text)| {
                let content = text.map(|text| text.as_bytes().to_vec());
                ((*path).to_owned(), content)
            })
            .collect();
        self.on(repository, |world, id| {
            let start = world
                .resolve(id, &format!("refs/heads/{branch}"))
                .or_else(|| world.resolve(id, "HEAD"));
            let tip = world.write_edits(id, self.id, message, start.as_deref(), &edits);
            world.push(id, self.id, branch, Some(&tip));
            tip
        })
    }

    /// A branch at the tip of another one.
    pub fn branch(&self, repository: &str, name: &str, from: &str) -> Oid {
        self.on(repository, |world, id| {
            let tip = world
                .resolve(id, from)
                .unwrap_or_else(|| panic!("`{repository}` has no branch `{from}`"));
            world.push(id, self.id, name, Some(&tip));
            tip
        })
    }

    /// Moves a branch anywhere, as `git push --force` does.
    pub fn force_push(&self, repository: &str, branch: &str, to: &str) {
        self.on(repository, |world, id| {
            world.push(id, self.id, branch, Some(to));
        });
    }

    pub fn delete_branch(&self, repository: &str, branch: &str) {
        self.on(repository, |world, id| {
            world.push(id, self.id, branch, None);
        });
    }

    /// Forks to the person's own account and gives the fork's full name.
    pub fn fork(&self, repository: &str) -> String {
        self.on(repository, |world, id| {
            let fork = world.fork(id, self.id, self.id);
            world.full_name(fork)
        })
    }

    /// Opens a pull from `owner:branch` (or `branch` of the same repository) and gives its number.
    pub fn open_pull(
        &self,
        repository: &str,
        base_branch: &str,
        head: &str,
        title: &str,
        body: &str,
    ) -> u64 {
        self.on(repository, |world, id| {
            let (head_repository, head_branch) = match head.split_once(':') {
                Some((owner, branch)) => (repository_in_network(world, id, owner), branch),
                None => (id, head),
            };
            let new = NewPull {
                base_branch: base_branch.to_owned(),
                head_repository,
                head_branch: head_branch.to_owned(),
                title: title.to_owned(),
                body: body.to_owned(),
                draft: false,
            };
            world.open_pull(id, self.id, new)
        })
    }

    /// Merges a pull and gives the commit on the base. A pull in conflict cannot be merged, nor one that its base's
    /// protection holds back.
    pub fn merge(&self, repository: &str, number: u64, method: MergeMethod) -> Oid {
        self.on(repository, |world, id| {
            if let Err(blocked) = world.may_merge(id, &world.repository(id).pulls[&number], self.id)
            {
                panic!("#{number} cannot be merged: {}", blocked.0);
            }
            world
                .merge_pull(id, number, &method.into(), self.id)
                .unwrap_or_else(|conflict| panic!("#{number} has conflicts in {:?}", conflict.0))
        })
    }

    /// Adds a pull to the merge queue and gives the head of its merge group.
    pub fn queue(&self, repository: &str, number: u64) -> Oid {
        self.on(repository, |world, id| {
            world
                .queue_pull(id, number, self.id)
                .unwrap_or_else(|conflict| panic!("#{number} has conflicts in {:?}", conflict.0))
        })
    }

    pub fn close(&self, repository: &str, number: u64) {
        self.on(repository, |world, id| {
            if world
                .pull(id, number)
                .is_some_and(|one| one.state == PullState::Open)
            {
                world.close_pull(id, number, self.id);
            }
        });
    }

    pub fn reopen(&self, repository: &str, number: u64) {
        self.on(repository, |world, id| {
            world.reopen_pull(id, number, self.id);
        });
    }

    /// Gives a pull another title.
    pub fn retitle(&self, repository: &str, number: u64, title: &str) {
        self.on(repository, |world, id| {
            world.retitle_pull(id, number, title, self.id);
        });
    }

    /// Aims a pull at another base branch.
    pub fn retarget(&self, repository: &str, number: u64, base_branch: &str) {
        self.on(repository, |world, id| {
            world.retarget_pull(id, number, base_branch, self.id);
        });
    }

    /// Comments on a pull and gives the comment's id.
    pub fn comment(&self, repository: &str, number: u64, text: &str) -> Id {
        self.on(repository, |world, id| {
            world.add_comment(id, number, self.id, None, text)
        })
    }

    /// Presses 'Re-run' at a check run.
    pub fn rerequest_check(&self, check_run: Id) {
        self.github
            .edit(|world| world.emit_run(check_run, "rerequested", self.id));
    }

    /// Presses 'Re-run all checks' of a suite.
    pub fn rerequest_suite(&self, check_suite: Id) {
        self.github
            .edit(|world| world.emit_suite(check_suite, "rerequested", self.id));
    }

    /// Gives a team a right, or another one, with its webhooks.
    pub fn grant_team(&self, repository: &str, team: &str, permission: Permission) {
        self.on(repository, |world, id| {
            let team = world
                .team_id(world.repository(id).owner, team)
                .unwrap_or_else(|| panic!("there is no team `{team}`"));
            world.grant_team(team, id, permission, self.id);
        });
    }
}

fn repository_in_network(world: &World, of: Id, owner: &str) -> Id {
    let network = world.repository(of).network;
    let owner_id = world.account_id(owner);
    let found = world
        .repositories
        .values()
        .find(|one| one.network == network && Some(one.owner) == owner_id);
    match found {
        Some(fork) => fork.id,
        None => panic!("`{owner}` has no fork of `{}`", world.full_name(of)),
    }
}
