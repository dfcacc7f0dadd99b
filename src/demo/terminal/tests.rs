use super::lines;

fn shown(markdown: &str, width: usize) -> String {
    lines(markdown, width, false).join("\n")
}

#[test]
fn a_table_is_in_columns_and_the_widest_gives_way() {
    let table = "\
| | Object | What |
|:--|:--|:--|
| ➕ create | Namespace <code>ai</code>, <code>logging</code> | Pod Security <code>baseline</code> |
| ✏️ change | RoleBinding <code>ai-team-admin</code> in <code>ai</code> | group <code>ai-team</code> gets <code>admin</code> |
";
    insta::assert_snapshot!(shown(table, 200), @"
               Object                           What
    ➕ create  Namespace ai, logging            Pod Security baseline
    ✏️ change  RoleBinding ai-team-admin in ai  group ai-team gets admin
    ");
    insta::assert_snapshot!(shown(table, 50), @"
               Object              What
    ➕ create  Namespace ai,       Pod Security
               logging             baseline
    ✏️ change  RoleBinding         group ai-team
               ai-team-admin in    gets admin
               ai
    ");
}

#[test]
fn what_is_folded_is_shown_and_comments_are_not() {
    let folded = "\
<!-- tenantry:plan -->
### Plan: 1 tenant added

<details><summary>➕ add <b><code>ai-team</code></b> · line 12</summary>

inside

</details>

<sub>Plan <code>ee89</code></sub>
";
    insta::assert_snapshot!(shown(folded, 80), @"
    Plan: 1 tenant added

    ▾ ➕ add ai-team · line 12

    inside

    Plan ee89
    ");
}

#[test]
fn entities_become_what_they_stand_for_and_hide_nothing() {
    insta::assert_snapshot!(shown("<code>a&#60;b&#64;c &amp; d &unknown; e&</code>", 80), @"a<b@c & d &unknown; e&");
}

#[test]
fn alerts_and_lists_keep_their_shape() {
    let text = "> [!WARNING]\n> Two things are wrong.\n\n- the first, which takes more than one line\n- the second\n\ntext\n";
    insta::assert_snapshot!(shown(text, 30), @"
    WARNING
    │ Two things are wrong.

    • the first, which takes more
      than one line
    • the second

    text
    ");
}

#[test]
fn colour_changes_nothing_but_colour() {
    let text = "### Plan\n\n**bold** and `code`\n\n| a | b |\n|--|--|\n| `x` | y |\n";
    let plain = lines(text, 80, false);
    let coloured = lines(text, 80, true);
    assert_ne!(plain, coloured);
    let stripped: Vec<String> = coloured.iter().map(|line| without_colour(line)).collect();
    assert_eq!(stripped, plain);
}

fn without_colour(line: &str) -> String {
    let parts = line.split('\u{1b}').enumerate();
    let texts = parts.map(|(index, part)| match part.split_once('m') {
        Some((_, text)) if index > 0 => text,
        _ => part,
    });
    texts.collect()
}
