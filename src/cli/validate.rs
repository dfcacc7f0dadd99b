//! `tenantry validate`: everything that is wrong in a file, without looking at GitHub or the cluster.

use std::collections::BTreeSet;
use std::io::Write;
use std::path::Path;

use anyhow::Context as _;
use serde_json::{Value, json};

use super::Output;
use crate::names::FullName;
use crate::tenants::diagnostic::{Diagnostic, Source};
use crate::tenants::{Context, Parsed, parse};

/// What to validate, and how to show it.
#[derive(Debug, Clone)]
pub struct Options<'a> {
    /// `-` is standard input.
    pub file: &'a Path,
    /// The control repo that the file is meant for, where it is known.
    pub repository: Option<FullName>,
    pub output: Output,
    pub color: bool,
}

/// Writes the findings; the exit status is 1 if there are any.
pub fn run(options: Options<'_>, out: &mut impl Write) -> anyhow::Result<u8> {
    let path = options.file.display().to_string();
    let text = read(options.file).with_context(|| format!("read {path}"))?;
    let context = match options.repository {
        Some(control_repository) => Context {
            control_repository,
            organizations: BTreeSet::new(),
        },
        None => Context::unknown(&text),
    };
    let parsed = parse(&text, &context);
    let source = Source::new(if path == "-" { "stdin" } else { &path }, &text);
    let shown = match options.output {
        Output::Tree => tree(&source, &parsed, options.color),
        Output::Markdown => markdown(&source, &parsed),
        Output::Json => format!("{:#}\n", json(&source, &parsed)),
    };
    out.write_all(shown.as_bytes())?;
    Ok(u8::from(!parsed.findings.is_empty()))
}

fn read(file: &Path) -> std::io::Result<String> {
    if file == Path::new("-") {
        std::io::read_to_string(std::io::stdin())
    } else {
        std::fs::read_to_string(file)
    }
}

fn tree(source: &Source<'_>, parsed: &Parsed, color: bool) -> String {
    let findings = parsed.findings.iter();
    let findings = findings.map(|finding| source.render(finding, color) + "\n");
    let summary = summary(parsed);
    format!(
        "{}{}: {summary}\n",
        findings.collect::<String>(),
        source.path
    )
}

fn markdown(source: &Source<'_>, parsed: &Parsed) -> String {
    let items = parsed.findings.iter().map(|finding| {
        let line = source.position(finding.span.start).line;
        let help = finding
            .help
            .iter()
            .map(|help| format!(" ({})", escaped(help)));
        format!(
            "- line {line}: {}{}\n",
            escaped(&finding.message),
            help.collect::<String>()
        )
    });
    let items: String = items.collect();
    let gap = if items.is_empty() { "" } else { "\n" };
    format!("**{}**\n{gap}{items}", summary(parsed))
}

fn json(source: &Source<'_>, parsed: &Parsed) -> Value {
    let finding = |finding: &Diagnostic| {
        let [start, end] = [finding.span.start, finding.span.end].map(|at| source.position(at));
        json!({
            "line": start.line,
            "column": start.column,
            "endLine": end.line,
            "endColumn": end.column,
            "message": finding.message,
            "help": finding.help,
            "replacement": finding.replacement,
            "related": finding.related.as_ref().map(|(span, message)| {
                let start = source.position(span.start);
                json!({ "line": start.line, "column": start.column, "message": message })
            }),
        })
    };
    json!({
        "valid": parsed.findings.is_empty(),
        "findings": parsed.findings.iter().map(finding).collect::<Vec<_>>(),
    })
}

fn summary(parsed: &Parsed) -> String {
    let tenants = parsed.sound.tenants.len();
    let namespaces = parsed
        .sound
        .tenants
        .values()
        .map(|tenant| tenant.namespaces.len());
    match parsed.findings.len() {
        0 => format!(
            "valid, {} with {}",
            counted(tenants, "tenant"),
            counted(namespaces.sum(), "namespace")
        ),
        errors => counted(errors, "error"),
    }
}

fn counted(count: usize, what: &str) -> String {
    let plural = if count == 1 { "" } else { "s" };
    format!("{count} {what}{plural}")
}

/// A message as Markdown that cannot mention, link or break out: its backticks are `<code>`, all signs are entities.
fn escaped(message: &str) -> String {
    let parts = message.split('`').enumerate().map(|(index, part)| {
        let text: String = part.chars().map(entity).collect();
        if index % 2 == 1 {
            format!("<code>{text}</code>")
        } else {
            text
        }
    });
    parts.collect()
}

fn entity(character: char) -> String {
    match character {
        letter if letter.is_alphanumeric() || matches!(letter, ' ' | ',' | '.' | '-' | '/') => {
            letter.to_string()
        }
        sign => format!("&#{};", u32::from(sign)),
    }
}

#[cfg(test)]
mod tests {
    use super::{Options, run};
    use crate::cli::Output;

    fn validated(text: &str, output: Output) -> (u8, String) {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("tenants.yaml");
        std::fs::write(&file, text).unwrap();
        let mut shown = Vec::new();
        let options = Options {
            file: &file,
            repository: None,
            output,
            color: false,
        };
        let status = run(options, &mut shown).unwrap();
        let shown = String::from_utf8(shown).unwrap();
        (
            status,
            shown.replace(&file.display().to_string(), "tenants.yaml"),
        )
    }

    const BAD: &str = "tenants:\n- name: ai\n- name: \"@all <b>\"\n- name: ai\n";

    #[test]
    fn a_valid_file_is_counted() {
        let text = "organization: acme\ntenants: [{name: ai, namespaces: [{name: models}]}]";
        let (status, shown) = validated(text, Output::Tree);
        assert_eq!(status, 0);
        assert_eq!(shown, "tenants.yaml: valid, 1 tenant with 1 namespace\n");
    }

    #[test]
    fn errors_are_shown_on_a_terminal() {
        let (status, shown) = validated(BAD, Output::Tree);
        assert_eq!(status, 1);
        insta::assert_snapshot!(shown);
    }

    #[test]
    fn errors_in_markdown_mention_nobody() {
        let (status, shown) = validated(BAD, Output::Markdown);
        assert_eq!(status, 1);
        assert!(!shown.contains('@') && !shown.contains("<b>"), "{shown}");
        insta::assert_snapshot!(shown);
    }

    #[test]
    fn errors_in_json_have_places() {
        let (status, shown) = validated(BAD, Output::Json);
        assert_eq!(status, 1);
        insta::assert_snapshot!(shown);
    }

    #[test]
    fn a_missing_file_is_named() {
        let options = Options {
            file: std::path::Path::new("/nowhere/tenants.yaml"),
            repository: None,
            output: Output::Tree,
            color: false,
        };
        let error = run(options, &mut Vec::new()).unwrap_err();
        assert!(format!("{error:#}").starts_with("read /nowhere/tenants.yaml: "));
    }

    #[test]
    fn the_schema_is_printed() {
        let mut shown = Vec::new();
        crate::cli::schema::run(&mut shown).unwrap();
        let schema: serde_json::Value = serde_json::from_slice(&shown).unwrap();
        assert_eq!(schema["required"], serde_json::json!(["tenants"]));
    }
}
