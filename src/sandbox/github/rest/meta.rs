//! GitHub itself, accounts and budgets.

use serde_json::{Value, json};

use super::super::answer::{Answer, Refusal, Reply};
use super::super::auth::Caller;
use super::super::call::Call;
use super::super::limits::Resource;
use super::super::view;
use super::organization_named;

/// GitHub's own host keys, as <https://api.github.com/meta> gives them: public facts.
pub(in super::super) const HOST_KEYS: [&str; 3] = [
    "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIOMqqnkVzrm0SdG6UOoqKLsabgH5C9okWi0dh2l9GKJl",
    "ecdsa-sha2-nistp256 AAAAE2VjZHNhLXNoYTItbmlzdHAyNTYAAAAIbmlzdHAyNTYAAABBBEmKSENjQEezOmxkZMy7opKgwFB9nkt5YRrYMjNuG5N87uRgg6CLrbo5wAdT/y6v0mKV0U2w0WZ2YB/++Tpockg=",
    "ssh-rsa AAAAB3NzaC1yc2EAAAADAQABAAABgQCj7ndNxQowgcQnjshcLrqPEiiphnt+VTTvDP6mHBL9j1aNUkY4Ue1gvwnGLVlOhGeYrnZaMgRK6+PKCUXaDbC7qtbW8gIkhL7aGCsOr/C56SJMy/BCZfxd1nWzAOxSDPgVsmerOBYfNqltV9/hWCqBywINIR+5dIg6JTJ72pcEpEjcYgXkE2YEFXV1JHnsKgbLWNlhScqb2UmyRkQyytRLtL+38TGxkxCflmO+5Z8CSSNY7GidjMIZ7Q4zMjA2n1nGrlTDkzwDCsw+wqFPGQA179cnfGWOWRVruj16z6XyvxvjJwbz0wQZ75XK5tKSb7FNyeIEs4TT4jk+S4dhPeAUC5y+bDYirYgM4GC7uEnztnZyaVWQ7B381AK4Qdrwt51ZqExKbQpTUNn+EjqoTwvqNj4kqx5QUCI0ThS/YkOxJCXmPUWZbhjpCg56i+2aB6CmK2JGhn57K5mj0MNdBXA4/WnwH6XoPWJzK5Nyu2zB3nAZp+S5hpQs+p1vN1/wsjk=",
];

pub(super) fn meta(call: &mut Call<'_>) -> Answer {
    Ok(Reply::ok(json!({
        "verifiable_password_authentication": false,
        "ssh_key_fingerprints": {
            "SHA256_ECDSA": "p2QAMXNIC1TJYWeIOttrVc98/R1BUFWu3/LiyKgUfQM",
            "SHA256_ED25519": "+DiY3wvvV6TuJJhbpZisF/zLDA0zPMSvHdkr4UvCOqU",
            "SHA256_RSA": "uNiVztksCsDhcc0u9e8BgrJXVGDB6PNF3/LiyKgUfQM",
        },
        "ssh_keys": call.world.host_keys,
        "hooks": ["127.0.0.1/32"], "web": ["127.0.0.1/32"], "api": ["127.0.0.1/32"], "git": ["127.0.0.1/32"],
    })))
}

pub(super) fn rate_limit(call: &mut Call<'_>) -> Answer {
    let mut look = |resource| call.world.budgets.spend(call.caller, resource, 0).json();
    let (core, graphql) = (look(Resource::Core), look(Resource::Graphql));
    let search = json!({"limit": 30, "used": 0, "remaining": 30, "reset": core["reset"]});
    Ok(Reply::ok(
        json!({"resources": {"core": core, "graphql": graphql, "search": search}, "rate": core}),
    ))
}

pub(super) fn user(call: &mut Call<'_>) -> Answer {
    let id = call.world.account_id(call.parameter("username"));
    let id = id.ok_or_else(Refusal::not_found)?;
    Ok(Reply::ok(view::public_user(call.world, id)))
}

pub(super) fn myself(call: &mut Call<'_>) -> Answer {
    match call.caller {
        Caller::User(id) => Ok(Reply::ok(view::public_user(call.world, *id))),
        Caller::Installation(_) => Err(Refusal::not_accessible()),
        Caller::App(_) | Caller::Anonymous => Err(Refusal::new(401, "Requires authentication")),
    }
}

pub(super) fn organization(call: &mut Call<'_>) -> Answer {
    let id = organization_named(call.world, call.parameter("org"))?;
    let settings = call
        .caller
        .may_in(call.world, id, "organization_administration=read");
    let mut shown = view::organization_full(call.world, id, settings);
    shown["public_repos"] = Value::from(
        call.world
            .repositories
            .values()
            .filter(|one| one.owner == id && !one.is_private())
            .count(),
    );
    Ok(Reply::ok(shown))
}
