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

/// As a cluster answers that does what we want of it, but for one question.
fn answers(room: &Room, wrong: impl Fn(&Question) -> bool) -> Vec<(Question, bool)> {
    let questions = room.questions().into_iter();
    questions
        .map(|question| {
            let allowed = question.expected != wrong(&question);
            (question, allowed)
        })
        .collect()
}

#[test]
fn an_account_that_can_do_what_it_should_and_nothing_else_is_contained() {
    let room = room();
    assert_eq!(room.review(&answers(&room, |_| false)), Review::Contained);
    assert_eq!(room.account(), ("tenant-ai-team".to_owned(), "reconciler"));
}

#[test]
fn each_wrong_answer_opens_the_room() {
    let room = room();
    for index in 0..room.questions().len() {
        let mut answers = answers(&room, |_| false);
        answers[index].1 = !answers[index].1;
        assert!(
            matches!(room.review(&answers), Review::Open { .. }),
            "{:?}",
            answers[index].0
        );
    }
    let secrets = |question: &Question| question.resource == "secrets";
    let Review::Open { message } = room.review(&answers(&room, secrets)) else {
        panic!("it can read Secrets");
    };
    assert_eq!(
        message,
        "the account `reconciler` of `tenant-ai-team` can get `secrets` in the whole cluster, and 3 more"
    );
}

#[test]
fn a_role_of_the_file_s_own_need_not_be_able_to_write_all() {
    let room = Room {
        role: "tenant-role".to_owned(),
        neighbour: None,
        ..room()
    };
    assert!(room.questions().iter().all(|question| !question.expected));
    let places: Vec<_> = room
        .questions()
        .iter()
        .filter_map(|question| question.namespace.clone())
        .collect();
    for place in ["ai", "logging", "tenant-ai-team", "flux-system"] {
        assert!(places.iter().any(|other| other == place), "{place}");
    }
}
