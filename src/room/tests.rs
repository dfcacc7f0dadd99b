use std::collections::BTreeSet;

use super::{Question, Review, neighbour, questions, review};
use crate::tenants::{Context, Tenants, parse};

const TENANTS: &str = "
tenants:
- name: ai-team
  namespaces: [{name: ai}, {name: logging}]
- name: notes
- name: payments
  reconcilerRole: narrow
  namespaces: [{name: cards}]
";

fn tenants() -> Tenants {
    let context = Context {
        control_repository: "acme/tenants".parse().unwrap(),
        organizations: BTreeSet::new(),
    };
    parse(TENANTS, &context).sound
}

fn asked(name: &str) -> Vec<Question> {
    let tenants = tenants();
    let name = name.parse().unwrap();
    questions(&tenants.tenants[&name], neighbour(&tenants, &name))
}

/// As a cluster answers that does what we want of it, but for some questions.
fn answers(questions: Vec<Question>, wrong: impl Fn(&Question) -> bool) -> Vec<(Question, bool)> {
    let answer = |question: Question| {
        let allowed = question.expected != wrong(&question);
        (question, allowed)
    };
    questions.into_iter().map(answer).collect()
}

#[test]
fn accounts_that_can_do_what_they_should_and_nothing_else_are_contained() {
    let answers = answers(asked("ai-team"), |_| false);
    assert_eq!(review(answers), Review::Contained);
}

#[test]
fn each_wrong_answer_opens_the_room() {
    let questions = asked("ai-team");
    for question in &questions {
        let answers = answers(questions.clone(), |other| other == question);
        assert_eq!(review(answers), Review::Open(vec![question.clone()]));
    }
}

#[test]
fn it_is_asked_of_every_account_and_about_every_place() {
    let questions = asked("ai-team");
    let accounts: BTreeSet<_> = questions.iter().map(|one| one.account.user()).collect();
    let accounts: Vec<_> = accounts.iter().map(String::as_str).collect();
    assert_eq!(
        accounts,
        [
            "system:serviceaccount:ai:flux",
            "system:serviceaccount:logging:flux",
            "system:serviceaccount:tenant-ai-team:reconciler",
        ]
    );
    let places: BTreeSet<_> = questions
        .iter()
        .filter_map(|one| one.access.namespace.as_deref())
        .collect();
    let expected = [
        "ai",
        "cards",
        "flux-system",
        "kube-system",
        "logging",
        "tenant-ai-team",
        "tenantry-system",
    ];
    assert_eq!(places, BTreeSet::from(expected));
}

#[test]
fn a_tenant_without_namespaces_has_no_accounts() {
    assert_eq!(asked("notes"), []);
}

#[test]
fn a_role_of_the_files_own_need_not_be_able_to_write() {
    assert!(asked("payments").iter().all(|question| !question.expected));
    assert!(asked("ai-team").iter().any(|question| question.expected));
}

#[test]
fn the_neighbour_is_the_next_tenant_that_has_a_namespace() {
    let tenants = tenants();
    let of = |name: &str| neighbour(&tenants, &name.parse().unwrap()).map(ToString::to_string);
    assert_eq!(of("ai-team").as_deref(), Some("cards"));
    assert_eq!(of("notes").as_deref(), Some("cards"));
    assert_eq!(of("payments").as_deref(), Some("ai"));
    let alone = parse(
        "tenants: [{name: a, namespaces: [{name: b}]}]",
        &Context {
            control_repository: "acme/tenants".parse().unwrap(),
            organizations: BTreeSet::new(),
        },
    );
    assert_eq!(neighbour(&alone.sound, &"a".parse().unwrap()), None);
}

#[test]
fn what_is_wrong_is_told_as_it_is() {
    let told = |wrong: fn(&Question) -> bool| -> Vec<String> {
        match review(answers(asked("ai-team"), wrong)) {
            Review::Contained => Vec::new(),
            Review::Open(wrong) => wrong.iter().map(ToString::to_string).collect(),
        }
    };
    assert_eq!(
        told(|question| question.access.namespace.as_deref() == Some("cards")),
        [
            "the account `reconciler` of `tenant-ai-team` can get `secrets` in `cards`",
            "the account `reconciler` of `tenant-ai-team` can create `deployments` in `cards`",
        ]
    );
    assert_eq!(
        told(|question| question.expected && question.account.name == "flux")[0],
        "the account `flux` of `ai` cannot create `deployments` in `ai`"
    );
    assert!(
        told(|question| question.access.namespace.is_none())[0].ends_with("in the whole cluster")
    );
}
