//! YAML with its lines numbered, keys and comments told apart.

use maud::{Markup, html};

/// A text as numbered lines that scroll within themselves.
pub(super) fn numbered(text: &str, label: &str) -> Markup {
    html! {
        pre class="code numbered" tabindex="0" role="group" aria-label=(label) {
            code {
                @for (index, line) in text.lines().enumerate() {
                    span class="line" id={ "L" (index + 1) } { (coloured(line)) "\n" }
                }
            }
        }
    }
}

/// A line of YAML: what stands before the colon is its key.
pub(super) fn coloured(line: &str) -> Markup {
    let bare = line.trim_start_matches([' ', '-']);
    let (lead, rest) = line.split_at(line.len() - bare.len());
    if rest.starts_with('#') {
        return html! { (lead) span class="comment" { (rest) } };
    }
    let Some(key) = key(rest) else {
        return html! { (line) };
    };
    let value = &rest[key.len()..];
    let (value, comment) = value.split_at(value.find(" #").unwrap_or(value.len()));
    html! {
        (lead) span class="key" { (key) } (value)
        @if !comment.is_empty() { span class="comment" { (comment) } }
    }
}

/// The key that a line begins with, if it does.
fn key(text: &str) -> Option<&str> {
    let end = text.find(':')?;
    let key = &text[..end];
    let after = text[end + 1..].chars().next();
    let plain = !key.is_empty() && !key.contains([' ', '{', '[', '"', '\'']);
    (plain && after.is_none_or(|next| next == ' ')).then_some(key)
}
