//! YAML text → a tree in which every key and value knows where it stands, whatever it is.
//!
//! Only what JSON can say too is read: no aliases, merge keys, tags or second document. So the tree is never larger than
//! its text, and every value stands in one place only.

use std::ops::Range;

use serde_saphyr::granit_parser::{
    ErrorKind, Event, Options, Parser, ScalarStyle, ScanError, Span, StructureStyle,
};

use super::diagnostic::{Diagnostic, quoted};

/// A value and the bytes of the text that it stands in.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Node {
    pub(super) span: Range<usize>,
    pub(super) value: Value,
}

#[derive(Debug, Clone, PartialEq)]
pub(super) enum Value {
    Null,
    Bool(bool),
    /// As written: `1.50` is not `1.5` to Kubernetes' quantities.
    Number(String),
    Text(String),
    List(Vec<Node>),
    Map(Map),
    /// Something that was reported while reading; nothing more is to be said about it.
    Unreadable,
}

/// The pairs in the order of the file, every key once.
#[derive(Debug, Clone, PartialEq, Default)]
pub(super) struct Map(pub(super) Vec<Pair>);

#[derive(Debug, Clone, PartialEq)]
pub(super) struct Pair {
    pub(super) key: String,
    pub(super) key_span: Range<usize>,
    pub(super) value: Node,
}

impl Map {
    pub(super) fn get(&self, key: &str) -> Option<&Node> {
        let pair = self.0.iter().find(|pair| pair.key == key);
        pair.map(|pair| &pair.value)
    }
}

impl Node {
    pub(super) fn as_map(&self) -> Option<&Map> {
        match &self.value {
            Value::Map(map) => Some(map),
            _ => None,
        }
    }

    /// The nodes of a list; none for anything else.
    pub(super) fn items(&self) -> &[Node] {
        match &self.value {
            Value::List(items) => items,
            _ => &[],
        }
    }

    /// The text of a scalar, a number's or a boolean's too; not of `null`.
    pub(super) fn scalar(&self) -> Option<&str> {
        match &self.value {
            Value::Text(text) | Value::Number(text) => Some(text),
            Value::Bool(true) => Some("true"),
            Value::Bool(false) => Some("false"),
            Value::Null | Value::List(_) | Value::Map(_) | Value::Unreadable => None,
        }
    }

    /// Where to point when the value as a whole is meant: its first key, not all its lines.
    pub(super) fn head(&self) -> Range<usize> {
        match &self.value {
            Value::Map(map) => map.0.first().map(|pair| pair.key_span.clone()),
            Value::List(items) => items.first().map(Node::head),
            _ => None,
        }
        .unwrap_or_else(|| self.span.clone())
    }
}

/// The file's one document, or none where its syntax is broken; whatever is wrong is added to the findings.
pub(super) fn read(text: &str, findings: &mut Vec<Diagnostic>) -> Option<Node> {
    let mut options = Options::default();
    options.emit_comments = false;
    options.emit_unresolved_aliases = true;
    let mut reader = Reader {
        text,
        events: Parser::new_from_str_with_options(text, options),
        findings,
    };
    reader.document().ok()
}

/// There is no reading on; why was reported.
struct Broken;

struct Reader<'a, Events> {
    text: &'a str,
    events: Events,
    findings: &'a mut Vec<Diagnostic>,
}

type Located<'a> = (Event<'a>, Range<usize>);

impl<'a, Events> Reader<'a, Events>
where
    Events: Iterator<Item = Result<(Event<'a>, Span), ScanError>>,
{
    fn document(&mut self) -> Result<Node, Broken> {
        let mut document = None;
        loop {
            let (event, span) = self.next()?;
            match event {
                Event::StreamEnd => break,
                Event::DocumentStart(..) if document.is_some() => {
                    return Err(self.broken(second_document(span)));
                }
                Event::StreamStart | Event::DocumentStart(..) | Event::DocumentEnd => {}
                event => document = Some(self.node((event, span))?),
            }
        }
        document
            .filter(|node| node.value != Value::Null)
            .ok_or_else(|| self.broken(empty_file()))
    }

    fn broken(&mut self, finding: Diagnostic) -> Broken {
        self.findings.push(finding);
        Broken
    }

    fn next(&mut self) -> Result<Located<'a>, Broken> {
        match self.events.next() {
            Some(Ok((event, span))) => Ok((event, self.range(&span))),
            Some(Err(error)) => Err(self.broken(syntax_error(&error, self.text))),
            None => Ok((Event::StreamEnd, self.text.len()..self.text.len())),
        }
    }

    /// The span in bytes, without the blank lines that YAML counts to a block scalar.
    fn range(&self, span: &Span) -> Range<usize> {
        let range = span.byte_range().unwrap_or(0..0);
        match self.text.get(range.clone()) {
            Some(text) => range.start..range.start + text.trim_end().len(),
            None => 0..0,
        }
    }

    fn node(&mut self, (event, span): Located<'a>) -> Result<Node, Broken> {
        if let Some(tag) = event.tag() {
            let tag = quoted(&tag.original());
            self.findings.push(
                Diagnostic::new(format!("the YAML tag {tag} is not read here"), span.clone())
                    .help("leave the tag out; quote a value that is meant as text"),
            );
        }
        match event {
            Event::Scalar(text, style, ..) => Ok(Node {
                value: scalar(&text, style),
                span,
            }),
            Event::SequenceStart(style, ..) => self.list(style, span),
            Event::MappingStart(style, ..) => self.map(style, span),
            Event::Alias(_) | Event::UnresolvedAlias(_) => Ok(self.alias(span)),
            _ => unreachable!("the parser emits a node where one belongs"),
        }
    }

    fn alias(&mut self, span: Range<usize>) -> Node {
        let alias = quoted(&self.text[span.clone()]);
        self.findings.push(
            Diagnostic::new(
                format!("the YAML alias {alias} is not read here"),
                span.clone(),
            )
            .help("write the value out, or put what entries share under `defaults`"),
        );
        Node {
            span,
            value: Value::Unreadable,
        }
    }

    fn list(&mut self, style: StructureStyle, start: Range<usize>) -> Result<Node, Broken> {
        let mut items: Vec<Node> = Vec::new();
        let end = loop {
            match self.next()? {
                (Event::SequenceEnd, end) => break end,
                located => items.push(self.node(located)?),
            }
        };
        let last = items.last().map(|item| item.span.end);
        Ok(Node {
            span: whole(style, &start, last, &end),
            value: Value::List(items),
        })
    }

    fn map(&mut self, style: StructureStyle, start: Range<usize>) -> Result<Node, Broken> {
        let mut pairs: Vec<Pair> = Vec::new();
        let end = loop {
            match self.next()? {
                (Event::MappingEnd, end) => break end,
                located => pairs.extend(self.pair(located)?),
            }
        };
        let last = pairs.last().map(|pair| pair.value.span.end);
        self.drop_repeated_keys(&mut pairs);
        Ok(Node {
            span: whole(style, &start, last, &end),
            value: Value::Map(Map(pairs)),
        })
    }

    /// A key and its value; none where the key is not one that JSON has, which is reported.
    fn pair(&mut self, key: Located<'a>) -> Result<Option<Pair>, Broken> {
        let written = match &key.0 {
            Event::Scalar(text, ..) => Some(text.to_string()),
            _ => None,
        };
        let key = self.node(key)?;
        let located = self.next()?;
        let mut value = self.node(located)?;
        if value.span.is_empty() {
            value.span = key.span.clone();
        }
        let Some(written) = written else {
            let message = "a list, a map or an alias cannot be a key";
            self.findings.push(Diagnostic::new(message, key.head()));
            return Ok(None);
        };
        Ok(Some(Pair {
            key: written,
            key_span: key.span,
            value,
        }))
    }

    fn drop_repeated_keys(&mut self, pairs: &mut Vec<Pair>) {
        let mut order: Vec<usize> = (0..pairs.len()).collect();
        order.sort_by_key(|&index| (&pairs[index].key, index));
        let mut repeated: Vec<usize> = Vec::new();
        for same in order.chunk_by(|&one, &other| pairs[one].key == pairs[other].key) {
            let first = &pairs[same[0]];
            for &index in &same[1..] {
                let key = quoted(&first.key);
                self.findings.push(
                    Diagnostic::new(
                        format!("the key {key} stands here twice"),
                        pairs[index].key_span.clone(),
                    )
                    .related(first.key_span.clone(), "the first one is here"),
                );
                repeated.push(index);
            }
        }
        repeated.sort_unstable();
        for index in repeated.into_iter().rev() {
            pairs.remove(index);
        }
    }
}

/// From the opening bracket to the closing one, or for indented blocks to the end of the last value.
fn whole(
    style: StructureStyle,
    start: &Range<usize>,
    last: Option<usize>,
    end: &Range<usize>,
) -> Range<usize> {
    let end = match style {
        StructureStyle::Flow => end.end,
        StructureStyle::Block => last.unwrap_or(start.end),
    };
    start.start..end.max(start.end)
}

/// What YAML 1.2's core schema makes of a scalar; `yes` is text there.
fn scalar(text: &str, style: ScalarStyle) -> Value {
    if style != ScalarStyle::Plain {
        return Value::Text(text.to_owned());
    }
    match text {
        "" | "~" | "null" | "Null" | "NULL" => Value::Null,
        "true" | "True" | "TRUE" => Value::Bool(true),
        "false" | "False" | "FALSE" => Value::Bool(false),
        text if is_number(text) => Value::Number(text.to_owned()),
        text => Value::Text(text.to_owned()),
    }
}

/// Whether the core schema reads a plain scalar as an integer or a float.
fn is_number(text: &str) -> bool {
    let digits = |digits: &str, radix| {
        !digits.is_empty() && digits.chars().all(|digit| digit.is_digit(radix))
    };
    if let Some(hexadecimal) = text.strip_prefix("0x") {
        return digits(hexadecimal, 16);
    }
    if let Some(octal) = text.strip_prefix("0o") {
        return digits(octal, 8);
    }
    let unsigned = text.strip_prefix(['+', '-']).unwrap_or(text);
    if matches!(unsigned, ".inf" | ".Inf" | ".INF") || matches!(text, ".nan" | ".NaN" | ".NAN") {
        return true;
    }
    // Rust reads `inf`, `nan` and `infinity` too, which YAML takes for text.
    unsigned.starts_with(|first: char| first.is_ascii_digit() || first == '.')
        && unsigned.parse::<f64>().is_ok()
}

fn empty_file() -> Diagnostic {
    Diagnostic::new("the file is empty", 0..0).help("a file without tenants says so: `tenants: []`")
}

fn second_document(span: Range<usize>) -> Diagnostic {
    Diagnostic::new("a second YAML document begins here", span)
        .help("put all tenants into one list, without `---` between them")
}

fn syntax_error(error: &ScanError, text: &str) -> Diagnostic {
    let (message, help) = explanation(error.kind());
    let offset = error.marker().byte_offset().unwrap_or(text.len());
    let start = text.floor_char_boundary(offset);
    let start = match error.kind() {
        // The parser points at what stands before the tab.
        kind if is_about_tabs(kind) => start + text[start..].find('\t').unwrap_or(0),
        _ => start,
    };
    let length = text[start..].chars().next().map_or(0, char::len_utf8);
    let mut diagnostic = Diagnostic::new(message, start..start + length);
    diagnostic.help = help.map(str::to_owned);
    diagnostic
}

fn is_about_tabs(kind: &ErrorKind) -> bool {
    matches!(
        kind,
        ErrorKind::TabNotAllowed
            | ErrorKind::TabInBlockIndentation
            | ErrorKind::TabInIndentation
            | ErrorKind::TabInPlainScalar
            | ErrorKind::TabAtBlockScalarStart
    )
}

/// The parser's reason in words for people who write YAML, not parsers.
fn explanation(kind: &ErrorKind) -> (String, Option<&'static str>) {
    let (message, help) = match kind {
        ErrorKind::UnclosedQuotedScalar => ("this quote is never closed", None),
        kind if is_about_tabs(kind) => (
            "a tab stands where YAML takes only spaces",
            Some("indent with spaces"),
        ),
        ErrorKind::InvalidIndentation
        | ErrorKind::ExpectedBlockMappingKey
        | ErrorKind::ExpectedBlockSequenceEntry
        | ErrorKind::BlockSequenceEntryNotAllowed
        | ErrorKind::InvalidFlowScalarIndent
        | ErrorKind::InvalidQuotedScalarIndent
        | ErrorKind::InvalidBlockScalarIndent => (
            "this does not line up with what stands above",
            Some("entries of one list and keys of one map begin in the same column"),
        ),
        ErrorKind::MappingValueNotAllowed
        | ErrorKind::MappingKeyNotAllowed
        | ErrorKind::InvalidColonPlacement => (
            "a `:` stands where no key can be",
            Some("quote text that contains `: `, or correct the indentation"),
        ),
        ErrorKind::SimpleKeyExpected | ErrorKind::InvalidSimpleKey => {
            ("a key without a `:`", Some("write `key: value`"))
        }
        ErrorKind::ExpectedFlowMappingSeparator => ("a `,` or a `}` is missing here", None),
        ErrorKind::ExpectedFlowSequenceSeparator => ("a `,` or a `]` is missing here", None),
        ErrorKind::UnexpectedEofFlowSequence => ("a `[` is never closed", None),
        ErrorKind::UnexpectedEofFlowMapping | ErrorKind::UnexpectedEofImplicitFlowMapping => {
            ("a `{` is never closed", None)
        }
        ErrorKind::BlockEntryInFlowCollection => (
            "an item with `- ` stands between brackets",
            Some("a `[` or a `{` above is not closed"),
        ),
        ErrorKind::RecursionLimitExceeded => ("this is nested too deeply", None),
        ErrorKind::UnclosedFlowCollection { open } => {
            return (format!("this `{open}` is never closed"), None);
        }
        ErrorKind::MismatchedFlowCollectionEnd { open, close } => {
            return (format!("a `{open}` is closed by a `{close}`"), None);
        }
        ErrorKind::UnexpectedCharacter { character } => {
            let character = quoted(&character.to_string());
            return (
                format!("{character} cannot stand here"),
                Some("quote text that begins with a sign of YAML's"),
            );
        }
        other => return (format!("this is not YAML: {other}"), None),
    };
    (message.to_owned(), help)
}
