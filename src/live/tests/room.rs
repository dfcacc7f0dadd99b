use std::collections::BTreeSet;

use crate::live::Review;
use crate::live::room::{Question, Room};

fn room() -> Room {
    Room {
        tenant: "ai-team".parse().unwrap(),
        namespaces: vec!["ai".to_owned(), "logging".to_owned()],
        role: "admin".to_owned(),
        neighbour: Some("payments".to_owned()),
    }
}

/// As a cluster answers that does what we want of it, but for some questions.
fn review(wrong: impl Fn(&Question) -> bool) -> Review {
    let answer = |question: Question| {
        let allowed = question.expected != wrong(&question);
        (question, allowed)
    };
    let answers: Vec<_> = room().questions().into_iter().map(answer).collect();
    Room::review(&answers)
}

#[test]
fn accounts_that_can_do_what_they_should_and_nothing_else_are_contained() {
    assert_eq!(review(|_| false), Review::Contained);
}

#[test]
fn each_wrong_answer_opens_the_room() {
    for question in room().questions() {
        let Review::Open { message, .. } = review(|other| *other == question) else {
            panic!("{question:?}");
        };
        assert_eq!(message, question.to_string());
    }
}

#[test]
fn it_is_asked_of_every_account_and_about_every_place() {
    let questions = room().questions();
    let accounts: BTreeSet<_> = questions
        .iter()
        .map(|one| (one.account.namespace.as_str(), one.account.name))
        .collect();
    let expected = [
        ("ai", "flux"),
        ("logging", "flux"),
        ("tenant-ai-team", "reconciler"),
    ];
    assert_eq!(accounts, BTreeSet::from(expected));
    let places: BTreeSet<_> = questions
        .iter()
        .filter_map(|one| one.namespace.as_deref())
        .collect();
    let expected = [
        "ai",
        "flux-system",
        "kube-system",
        "logging",
        "payments",
        "tenant-ai-team",
        "tenantry-system",
    ];
    assert_eq!(places, BTreeSet::from(expected));
}

#[test]
fn a_role_of_the_file_s_own_need_not_be_able_to_write() {
    assert!(room().questions().iter().any(|question| question.expected));
    let room = Room {
        role: "tenant-role".to_owned(),
        ..room()
    };
    assert!(room.questions().iter().all(|question| !question.expected));
}

#[test]
fn what_is_wrong_is_told_with_the_command_that_shows_it() {
    let open = |message: &str, command: &str| Review::Open {
        message: message.to_owned(),
        command: command.to_owned(),
    };
    assert_eq!(
        review(|question| question.resource == "secrets"),
        open(
            "the account `reconciler` of `tenant-ai-team` can get `secrets` in the whole cluster, and 6 more",
            "kubectl auth can-i --list --as=system:serviceaccount:tenant-ai-team:reconciler"
        )
    );
    assert_eq!(
        review(|question| question.expected),
        open(
            "the account `reconciler` of `tenant-ai-team` cannot create `configmaps` in `ai`, and 1 more",
            "kubectl auth can-i --list --as=system:serviceaccount:tenant-ai-team:reconciler --namespace=ai"
        )
    );
}
