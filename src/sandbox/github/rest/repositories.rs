//! Repositories as a whole.

use serde_json::{Value, json};

use super::super::actions::{Edits, NewRepository};
use super::super::answer::{Answer, Refusal, Reply};
use super::super::auth::Caller;
use super::super::call::Call;
use super::super::clock;
use super::super::model::{Id, Membership, Visibility};
use super::super::view;
use super::organization_named;

/// The longest name of a repository.
const LONGEST_NAME: usize = 100;

/// The longest description of a repository, in characters.
const LONGEST_DESCRIPTION: usize = 350;

pub(super) fn get(call: &mut Call<'_>) -> Answer {
    let id = call.repository();
    Ok(Reply::ok(view::repository_full(
        call.world,
        id,
        call.caller,
    )))
}

pub(super) fn of_organization(call: &mut Call<'_>) -> Answer {
    let owner = organization_named(call.world, call.parameter("org"))?;
    let visible: Vec<Id> = call
        .world
        .repositories
        .values()
        .filter(|one| one.owner == owner && call.caller.can_see(call.world, one.id))
        .map(|one| one.id)
        .collect();
    call.page(&visible, |id| {
        view::repository_for(call.world, *id, call.caller)
    })
}

fn wanted_visibility(call: &Call<'_>) -> Option<Visibility> {
    match (call.text("visibility"), call.flag("private")) {
        (Some("private" | "internal"), _) | (None, Some(true)) => Some(Visibility::Private),
        (Some(_), _) | (None, Some(false)) => Some(Visibility::Public),
        (None, None) => None,
    }
}

/// GitHub writes `-` for every character that a name cannot have.
fn tidy_name(name: &str) -> String {
    name.chars()
        .map(|letter| match letter {
            'a'..='z' | 'A'..='Z' | '0'..='9' | '-' | '_' | '.' => letter,
            _ => '-',
        })
        .collect()
}

fn check_name(call: &Call<'_>, owner: Id, name: &str) -> Result<(), Refusal> {
    let failed = |message: &str| {
        let error = json!({"resource": "Repository", "code": "custom", "field": "name", "message": message});
        Err(Refusal::unprocessable("Repository creation failed.").with_error(error))
    };
    if name.is_empty() {
        return Err(
            Refusal::unprocessable("Repository creation failed.").with_error(
                json!({"resource": "Repository", "code": "missing_field", "field": "name"}),
            ),
        );
    }
    if name.len() > LONGEST_NAME {
        return failed("name is too long (maximum is 100 characters)");
    }
    let full_name = format!("{}/{name}", call.world.login(owner));
    if call.world.repository_id(&full_name).is_some() {
        return failed("name already exists on this account");
    }
    Ok(())
}

fn check_description(call: &Call<'_>) -> Result<(), Refusal> {
    let text = call.text("description").unwrap_or_default();
    if text.chars().count() > LONGEST_DESCRIPTION {
        return Err(Refusal::validation(
            "Repository",
            "description",
            "description cannot be more than 350 characters",
        ));
    }
    if text.chars().any(char::is_control) {
        return Err(Refusal::validation(
            "Repository",
            "description",
            "description control characters are not allowed",
        ));
    }
    Ok(())
}

fn new_repository(call: &Call<'_>, owner: Id) -> Result<NewRepository, Refusal> {
    let name = tidy_name(call.text("name").unwrap_or_default());
    check_name(call, owner, &name)?;
    check_description(call)?;
    let visibility = wanted_visibility(call).unwrap_or(Visibility::Public);
    let mut new = NewRepository::named(owner, &name, visibility);
    new.description = call.text("description").map(ToOwned::to_owned);
    new.homepage = call.text("homepage").map(ToOwned::to_owned);
    new.is_template = call.flag("is_template").unwrap_or(false);
    Ok(new)
}

/// `POST /orgs/{org}/repos`.
pub(super) fn create(call: &mut Call<'_>) -> Answer {
    let owner = call.organization();
    if let Caller::User(user) = call.caller {
        let allowed = call
            .world
            .organization(owner)
            .is_some_and(|found| found.members_can_create_repositories)
            || call.world.membership(owner, *user) == Some(Membership::Owner);
        if !allowed {
            return Err(Refusal::new(
                403,
                "You need admin access to the organization before adding a repository to it.",
            ));
        }
    }
    let new = new_repository(call, owner)?;
    finish_creation(call, new)
}

/// `POST /user/repos`: people can, Apps cannot.
pub(super) fn create_own(call: &mut Call<'_>) -> Answer {
    let Caller::User(user) = call.caller else {
        return Err(Refusal::not_accessible());
    };
    let new = new_repository(call, *user)?;
    finish_creation(call, new)
}

fn finish_creation(call: &mut Call<'_>, new: NewRepository) -> Answer {
    let actor = call.actor();
    let with_readme = call.flag("auto_init").unwrap_or(false);
    let id = add_with_events(call, new);
    if with_readme {
        let name = call.world.repository(id).name.clone();
        let readme = format!("# {name}\n").into_bytes();
        let edits = Edits::from([("README.md".to_owned(), Some(readme))]);
        let branch = call.world.repository(id).default_branch.clone();
        call.world
            .commit_and_push(id, actor, &branch, "Initial commit", &edits);
    }
    Ok(Reply::created(view::repository_full(
        call.world,
        id,
        call.caller,
    )))
}

fn add_with_events(call: &mut Call<'_>, new: NewRepository) -> Id {
    let actor = call.actor();
    let id = call.world.add_repository(new);
    if let Some(app) = call.caller.app(call.world) {
        call.world.adopt_created(id, app, actor);
    }
    call.world
        .emit_repository(id, "created", actor, Value::Null);
    id
}

/// `POST /repos/{template}/generate`.
pub(super) fn generate(call: &mut Call<'_>) -> Answer {
    let template = call.repository();
    if !call.world.repository(template).is_template {
        return Err(Refusal::not_found());
    }
    let actor = call.actor();
    let owner = match call.text("owner") {
        Some(login) => call
            .world
            .account_id(login)
            .ok_or_else(Refusal::not_found)?,
        None => actor,
    };
    let allowed = match call.caller {
        Caller::User(user) => *user == owner || call.world.membership(owner, *user).is_some(),
        _ => {
            call.world.organization(owner).is_some()
                && call
                    .caller
                    .may_in(call.world, owner, "administration=write")
        }
    };
    if !allowed {
        return Err(Refusal::not_accessible()
            .with_header("x-accepted-github-permissions", "administration=write"));
    }
    let mut new = new_repository(call, owner)?;
    new.template = Some(template);
    let found = call.world.repository(template);
    let branch = found.default_branch.clone();
    let tip = found.branches.get(&branch).cloned();
    let id = add_with_events(call, new);
    call.world
        .repository_mut(id)
        .default_branch
        .clone_from(&branch);
    if let Some(tip) = tip {
        let objects = call.world.objects(template);
        let edits: Edits = objects
            .files_of(&tip)
            .into_iter()
            .map(|(path, file)| (path, objects.blob(&file.blob).map(<[u8]>::to_vec)))
            .collect();
        call.world
            .commit_and_push(id, actor, &branch, "Initial commit", &edits);
    }
    Ok(Reply::created(view::repository_full(
        call.world,
        id,
        call.caller,
    )))
}

/// `POST /repos/{owner}/{repo}/forks`.
pub(super) fn fork(call: &mut Call<'_>) -> Answer {
    let Caller::User(user) = call.caller else {
        return Err(Refusal::not_accessible());
    };
    let parent = call.repository();
    let id = call.world.fork(parent, *user, *user);
    Ok(Reply::accepted(view::repository_full(
        call.world,
        id,
        call.caller,
    )))
}

pub(super) fn delete(call: &mut Call<'_>) -> Answer {
    let (id, actor) = (call.repository(), call.actor());
    call.world
        .emit_repository(id, "deleted", actor, Value::Null);
    call.world.delete_repository(id);
    Ok(Reply::no_content())
}

/// `PATCH /repos/{owner}/{repo}`.
pub(super) fn update(call: &mut Call<'_>) -> Answer {
    let (id, actor) = (call.repository(), call.actor());
    let unarchives = call.flag("archived") == Some(false);
    if call.world.repository(id).archived && !unarchives {
        return Err(Refusal::archived());
    }
    check_description(call)?;
    rename(call, id, actor)?;
    set_default_branch(call, id, actor)?;
    set_visibility(call, id, actor);
    set_words(call, id, actor);
    set_archived(call, id, actor);
    call.world.repository_mut(id).updated_at = clock::stamp_now();
    Ok(Reply::ok(view::repository_full(
        call.world,
        id,
        call.caller,
    )))
}

fn rename(call: &mut Call<'_>, id: Id, actor: Id) -> Result<(), Refusal> {
    let before = call.world.repository(id).name.clone();
    let Some(name) = call
        .text("name")
        .map(tidy_name)
        .filter(|name| *name != before)
    else {
        return Ok(());
    };
    if !name.eq_ignore_ascii_case(&before) {
        check_name(call, call.world.repository(id).owner, &name)?;
    }
    call.world.rename_repository(id, &name);
    let changes = json!({"repository": {"name": {"from": before}}});
    call.world.emit_repository(id, "renamed", actor, changes);
    Ok(())
}

fn set_default_branch(call: &mut Call<'_>, id: Id, actor: Id) -> Result<(), Refusal> {
    let found = call.world.repository(id);
    let before = found.default_branch.clone();
    let Some(branch) = call.text("default_branch").map(ToOwned::to_owned) else {
        return Ok(());
    };
    if branch == before {
        return Ok(());
    }
    if found.is_empty() {
        return Err(Refusal::unprocessable(
            "Cannot update default branch for an empty repository. Please init the repository and push first.",
        ));
    }
    if !found.branches.contains_key(&branch) {
        return Err(Refusal::unprocessable(format!(
            "The branch {branch} was not found. Please push that ref first or create it via the Git Data API."
        )));
    }
    call.world.repository_mut(id).default_branch = branch;
    let changes = json!({"default_branch": {"from": before}});
    call.world.emit_repository(id, "edited", actor, changes);
    Ok(())
}

fn set_visibility(call: &mut Call<'_>, id: Id, actor: Id) {
    let Some(visibility) = wanted_visibility(call) else {
        return;
    };
    if call.world.repository(id).visibility == visibility {
        return;
    }
    call.world.repository_mut(id).visibility = visibility;
    let action = match visibility {
        Visibility::Public => "publicized",
        Visibility::Private => "privatized",
    };
    call.world.emit_repository(id, action, actor, Value::Null);
}

fn set_words(call: &mut Call<'_>, id: Id, actor: Id) {
    let mut changes = json!({});
    let given = |name: &str| {
        let value = call.body.get(name)?;
        Some(value.as_str().map(ToOwned::to_owned))
    };
    let (description, homepage) = (given("description"), given("homepage"));
    let template = call.flag("is_template");
    let found = call.world.repository_mut(id);
    if let Some(text) = description.filter(|text| *text != found.description) {
        changes["description"] = json!({"from": found.description});
        found.description = text;
    }
    if let Some(text) = homepage.filter(|text| *text != found.homepage) {
        changes["homepage"] = json!({"from": found.homepage});
        found.homepage = text;
    }
    found.is_template = template.unwrap_or(found.is_template);
    if changes != json!({}) {
        call.world.emit_repository(id, "edited", actor, changes);
    }
}

fn set_archived(call: &mut Call<'_>, id: Id, actor: Id) {
    let Some(archived) = call.flag("archived") else {
        return;
    };
    if call.world.repository(id).archived == archived {
        return;
    }
    call.world.repository_mut(id).archived = archived;
    let action = if archived { "archived" } else { "unarchived" };
    call.world.emit_repository(id, action, actor, Value::Null);
}
