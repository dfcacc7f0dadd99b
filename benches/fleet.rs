//! Files of any size: tenants with two teams and a namespace each, and a team for every five of them.

use std::collections::BTreeSet;

/// The text of `tenants.yaml` with this many tenants.
pub(crate) fn file(tenants: usize) -> String {
    if tenants == 0 {
        return "tenants: []\n".to_owned();
    }
    let entries = (0..tenants).map(|number| entry(number, tenants));
    "tenants:\n".to_owned() + &entries.collect::<String>()
}

fn entry(number: usize, tenants: usize) -> String {
    let name = name(number);
    let [one, two] = teams_of(number, tenants).map(team);
    format!(
        "- name: {name}\n  description: Owns the {name} services\n  githubTeams: [{{name: {one}}}, {{name: {two}}}]\n  namespaces: [{{name: {name}}}]\n"
    )
}

pub(crate) fn name(number: usize) -> String {
    format!("t{number:05}")
}

fn team(number: usize) -> String {
    format!("team-{number:04}")
}

/// Two of the organisation's teams, so that each team has ten tenants.
fn teams_of(number: usize, tenants: usize) -> [usize; 2] {
    let all = team_count(tenants);
    [2 * number % all, (2 * number + 1) % all]
}

fn team_count(tenants: usize) -> usize {
    (tenants / 5).max(2)
}

/// The teams that the file names.
pub(crate) fn teams(tenants: usize) -> BTreeSet<String> {
    (0..team_count(tenants)).map(team).collect()
}
