//! Files of any size: tenants with two teams and a namespace each, and a team for every five of them.

/// The text of `tenants.yaml` with this many tenants, in an organisation that has teams for `size` of them.
pub(crate) fn file(tenants: usize, size: usize) -> String {
    if tenants == 0 {
        return "tenants: []\n".to_owned();
    }
    let entries = (0..tenants).map(|number| entry(number, size));
    "tenants:\n".to_owned() + &entries.collect::<String>()
}

fn entry(number: usize, size: usize) -> String {
    let name = name(number);
    let [one, two] = teams_of(number, size).map(team);
    format!(
        "- name: {name}\n  description: Owns the {name} services\n  githubTeams: [{{name: {one}}}, {{name: {two}}}]\n  namespaces: [{{name: {name}}}]\n"
    )
}

pub(crate) fn name(number: usize) -> String {
    format!("t{number:05}")
}

pub(crate) fn team(number: usize) -> String {
    format!("team-{number:04}")
}

/// Two of the organisation's teams, so that each team has ten tenants.
pub(crate) fn teams_of(number: usize, size: usize) -> [usize; 2] {
    let all = team_count(size);
    [2 * number % all, (2 * number + 1) % all]
}

fn team_count(size: usize) -> usize {
    (size / 5).max(2)
}
