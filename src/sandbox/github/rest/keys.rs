//! Deploy keys: one key, one repository, in all of GitHub.

use super::super::answer::{Answer, Refusal, Reply};
use super::super::call::Call;
use super::super::clock;
use super::super::model::{DeployKey, Id, World};
use super::super::view;

pub(super) fn list(call: &mut Call<'_>) -> Answer {
    let repository = call.repository();
    let keys: Vec<Id> = call
        .world
        .repository(repository)
        .deploy_keys
        .keys()
        .copied()
        .collect();
    call.page(&keys, |id| view::deploy_key(call.world, repository, *id))
}

pub(super) fn get(call: &mut Call<'_>) -> Answer {
    let (repository, id) = (call.repository(), call.number("key_id")?);
    if !call
        .world
        .repository(repository)
        .deploy_keys
        .contains_key(&id)
    {
        return Err(Refusal::not_found());
    }
    Ok(Reply::ok(view::deploy_key(call.world, repository, id)))
}

pub(super) fn create(call: &mut Call<'_>) -> Answer {
    let repository = call.repository();
    let owner = call.world.repository(repository).owner;
    let forbidden = call
        .world
        .organization(owner)
        .is_some_and(|organization| !organization.deploy_keys_allowed);
    if forbidden {
        return Err(Refusal::unprocessable(
            "Deploy keys are disabled for this repository",
        ));
    }
    let Some(key) = call.text("key") else {
        return Err(Refusal::code("PublicKey", "key", "missing_field"));
    };
    let material = World::key_material(key);
    if !looks_like_key(&material) {
        return Err(Refusal::validation(
            "PublicKey",
            "key",
            "key is invalid. You must supply a key in OpenSSH public key format",
        ));
    }
    if call.world.key_is_used(&material) {
        return Err(Refusal::validation(
            "PublicKey",
            "key",
            "key is already in use",
        ));
    }
    let id = call.world.fresh_id();
    let key = DeployKey {
        id,
        title: call.text("title").unwrap_or_default().to_owned(),
        key: material,
        read_only: call.flag("read_only").unwrap_or(false),
        created_at: clock::stamp_now(),
        added_by: call.world.login(call.actor()).to_owned(),
    };
    let actor = call.actor();
    call.world.register_deploy_key(repository, key, actor);
    Ok(Reply::created(view::deploy_key(call.world, repository, id)))
}

fn looks_like_key(material: &str) -> bool {
    material.split_once(' ').is_some_and(|(algorithm, blob)| {
        (algorithm.starts_with("ssh-") || algorithm.starts_with("ecdsa-sha2-"))
            && blob.starts_with("AAAA")
    })
}

pub(super) fn delete(call: &mut Call<'_>) -> Answer {
    let (repository, id) = (call.repository(), call.number("key_id")?);
    let actor = call.actor();
    if call.world.revoke_deploy_key(repository, id, actor) {
        Ok(Reply::no_content())
    } else {
        Err(Refusal::not_found())
    }
}
