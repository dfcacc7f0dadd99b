use super::super::github::{Annotation, File};
use super::shown;

const PATCH: &str = "@@ -1,3 +1,3 @@\n a\n-b\n+<b>\n c\n\\ No newline at end of file";

fn file(patch: Option<&str>) -> File {
    let file = serde_json::json!({"filename": "tenants.yaml", "additions": 1, "deletions": 1, "patch": patch});
    serde_json::from_value(file).unwrap()
}

fn annotation(line: usize, columns: Option<(usize, usize)>) -> Annotation {
    let annotation = serde_json::json!({
        "path": "tenants.yaml", "start_line": line, "annotation_level": "failure", "title": "t", "message": "wrong",
        "start_column": columns.map(|columns| columns.0), "end_column": columns.map(|columns| columns.1),
    });
    serde_json::from_value(annotation).unwrap()
}

/// The rows of the table, as a reader has them: numbers, sign, text.
fn rows(html: &str) -> Vec<String> {
    let texts = html.split("<tr").skip(1).map(|row| {
        let row = row.split_once('>').map_or(row, |(_, row)| row);
        let row = row.split("</tr>").next().unwrap();
        let mut plain = String::new();
        for part in row.split('<') {
            plain.push_str(part.split_once('>').map_or(part, |(_, text)| text));
            plain.push('|');
        }
        let parts = plain.split('|').filter(|part| !part.is_empty());
        parts.collect::<Vec<_>>().join("|")
    });
    texts.skip(1).collect()
}

#[test]
fn lines_are_numbered_on_both_sides() {
    let html = shown(&file(Some(PATCH)), &[], None).into_string();
    assert_eq!(
        rows(&html),
        [
            "@@ -1,3 +1,3 @@",
            "1|1| |a",
            "2|−|b",
            "2|+|&lt;b&gt;",
            "3|3| |c",
            " | No newline at end of file",
        ]
    );
}

#[test]
fn an_annotation_stands_below_its_line_with_its_words_marked() {
    let error = annotation(2, Some((2, 2)));
    let html = shown(&file(Some(PATCH)), &[&error], None).into_string();
    assert!(html.contains("&lt;<mark>b</mark>&gt;"), "{html}");
    let rows = rows(&html);
    assert!(
        rows[4].contains("Error in line 2: t") && rows[4].contains("wrong"),
        "{rows:?}"
    );
}

#[test]
fn an_annotation_outside_of_the_change_brings_its_line_along() {
    let error = annotation(9, None);
    let text: String = (1..=12).map(|line| format!("line {line}\n")).collect();
    let html = shown(&file(Some(PATCH)), &[&error], Some(&text)).into_string();
    let rows = rows(&html);
    assert_eq!(rows[8], "9| |line 9", "{rows:?}");
    assert!(rows[9].contains("wrong"), "{rows:?}");
    let nowhere = shown(&file(None), &[&error], None).into_string();
    assert!(nowhere.contains("wrong"), "{nowhere}");
}
