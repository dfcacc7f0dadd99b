//! GitHub's dialect of Markdown, as harmless HTML: tables, alerts, details, task lists, coloured diffs.

use std::borrow::Cow;
use std::collections::{HashMap, HashSet};
use std::fmt::{self, Write};

use ammonia::Builder;
use comrak::adapters::CodefenceRendererAdapter;
use comrak::nodes::Sourcepos;
use comrak::{Options, markdown_to_html_with_plugins, options};
use maud::{Markup, PreEscaped, html};

use super::place::Place;

/// The classes of an alert, of a line of a diff, and of nothing else: a comment cannot dress as the page around it.
const CLASSES: [(&str, &[&str]); 3] = [
    (
        "div",
        &[
            "markdown-alert",
            "markdown-alert-note",
            "markdown-alert-tip",
            "markdown-alert-important",
            "markdown-alert-warning",
            "markdown-alert-caution",
        ],
    ),
    ("p", &["markdown-alert-title"]),
    ("span", &["added", "removed", "place"]),
];

/// A text by somebody, shown.
pub(super) fn shown(text: &str, control_repo: &str) -> Markup {
    let html = markdown_to_html_with_plugins(text, &dialect(), &plugins());
    let html = sanitised(&html, control_repo);
    // Tables are wider than a telephone: they scroll, and that is possible without a mouse, too.
    let html = without_empty_heads(&html)
        .replace(
            "<table>",
            "<div class=\"scroll\" tabindex=\"0\" role=\"group\" aria-label=\"Table\"><table>",
        )
        .replace("</table>", "</table></div>")
        .replace("<pre>", "<pre tabindex=\"0\">");
    html! { div class="markdown" { (PreEscaped(html)) } }
}

/// A head of a column that says nothing is no head.
fn without_empty_heads(html: &str) -> String {
    let mut parts = html.split("<th ");
    let mut whole = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        match part.split_once("></th>") {
            Some((attributes, rest)) if !attributes.contains('>') => {
                whole.extend(["<td ", attributes, "></td>", rest]);
            }
            _ => whole.extend(["<th ", part]),
        }
    }
    whole.replace("<th></th>", "<td></td>")
}

fn dialect() -> Options<'static> {
    let mut options = Options::default();
    options.extension.strikethrough = true;
    options.extension.table = true;
    options.extension.autolink = true;
    options.extension.tasklist = true;
    options.extension.footnotes = true;
    options.extension.alerts = true;
    // In comments a new line is a new line.
    options.render.hardbreaks = true;
    // HTML goes through; what is not harmless is taken out afterwards, from all of it.
    options.render.r#unsafe = true;
    options
}

/// Writes the lines of a `diff` fence with their signs told apart.
struct Diff;

impl CodefenceRendererAdapter for Diff {
    fn write(
        &self,
        output: &mut dyn Write,
        _lang: &str,
        _meta: &str,
        code: &str,
        _place: Option<Sourcepos>,
    ) -> fmt::Result {
        let lines = html! {
            pre { code {
                @for line in code.lines() {
                    @match line.chars().next() {
                        Some('+') => span class="added" { (line) },
                        Some('-') => span class="removed" { (line) },
                        Some('@') => span class="place" { (line) },
                        _ => (line),
                    }
                    "\n"
                }
            } }
        };
        output.write_str(&lines.0)
    }
}

fn plugins() -> options::Plugins<'static> {
    let mut plugins = options::Plugins::default();
    let renderers = &mut plugins.render.codefence_renderers;
    renderers.insert("diff".to_owned(), &Diff);
    plugins
}

fn sanitised(html: &str, control_repo: &str) -> String {
    let repository = format!("https://github.com/{control_repo}");
    let organization = control_repo.split('/').next().unwrap_or_default();
    let organization = format!("https://github.com/{organization}/");
    let classes: HashMap<&str, HashSet<&str>> = CLASSES
        .into_iter()
        .map(|(tag, classes)| (tag, classes.iter().copied().collect()))
        .collect();
    let mut cleaner = Builder::default();
    cleaner
        // A picture would be asked of another host.
        .rm_tags(["img", "map", "area"])
        .add_tags(["input"])
        .add_tag_attributes("input", ["checked"])
        .set_tag_attribute_value("input", "type", "checkbox")
        .set_tag_attribute_value("input", "disabled", "")
        .set_tag_attribute_value("input", "aria-label", "Task")
        .add_tag_attributes("details", ["open"])
        .rm_tag_attributes("ol", ["start"])
        .add_tag_attributes("ol", ["start"])
        .allowed_classes(classes)
        .attribute_filter(move |tag, name, value| {
            if (tag, name) == ("a", "href") {
                Some(led_home(value, &repository, &organization))
            } else {
                Some(Cow::Borrowed(value))
            }
        });
    cleaner.clean(html).to_string()
}

/// Links to the embedded GitHub's own web pages lead to these pages, which show the same.
fn led_home<'a>(address: &'a str, repository: &str, organization: &str) -> Cow<'a, str> {
    if let Some(below) = address.strip_prefix(repository) {
        let mut parts = below.trim_start_matches('/').split('/');
        let (kind, id) = (parts.next(), parts.next());
        let id = id.and_then(|id| id.split(['#', '?']).next()?.parse().ok());
        return Cow::Owned(match (kind, id) {
            (Some("pull"), Some(number)) => Place::Pull(number).address(),
            (Some("runs"), Some(id)) => Place::Check(id).address(),
            _ => Place::Control.address(),
        });
    }
    match address.strip_prefix(organization) {
        Some(_) => Cow::Owned(Place::Organization.address()),
        None => Cow::Borrowed(address),
    }
}

#[cfg(test)]
mod tests;
