//! A page of a list, read object by object: a thousand of them as values take many times the room of their text.

use std::fmt;

use serde::de::{DeserializeSeed, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::Value;

/// Hands each object on, and gives the token for the next page; none after the last one.
pub(super) fn read(
    page: &str,
    seen: &mut impl FnMut(Value),
) -> Result<Option<String>, serde_json::Error> {
    let mut page = serde_json::Deserializer::from_str(page);
    let next = page.deserialize_map(Page(seen))?;
    page.end()?;
    Ok(next)
}

struct Page<'a, Seen>(&'a mut Seen);

#[derive(Deserialize)]
struct Metadata {
    #[serde(rename = "continue")]
    next: Option<String>,
}

impl<'de, Seen: FnMut(Value)> Visitor<'de> for Page<'_, Seen> {
    type Value = Option<String>;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a list of objects")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut page: A) -> Result<Self::Value, A::Error> {
        let (mut next, mut has_items) = (None, false);
        while let Some(key) = page.next_key::<String>()? {
            match key.as_str() {
                "items" => {
                    page.next_value_seed(Items(self.0))?;
                    has_items = true;
                }
                "metadata" => next = page.next_value::<Metadata>()?.next,
                _ => {
                    page.next_value::<IgnoredAny>()?;
                }
            }
        }
        if !has_items {
            return Err(A::Error::missing_field("items"));
        }
        Ok(next.filter(|token| !token.is_empty()))
    }
}

struct Items<'a, Seen>(&'a mut Seen);

impl<'de, Seen: FnMut(Value)> DeserializeSeed<'de> for Items<'_, Seen> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, items: D) -> Result<(), D::Error> {
        items.deserialize_seq(self)
    }
}

impl<'de, Seen: FnMut(Value)> Visitor<'de> for Items<'_, Seen> {
    type Value = ();

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("objects")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<(), A::Error> {
        while let Some(item) = items.next_element()? {
            (self.0)(item);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    fn read(page: &str) -> Result<(Vec<Value>, Option<String>), serde_json::Error> {
        let mut seen = Vec::new();
        let next = super::read(page, &mut |item| seen.push(item))?;
        Ok((seen, next))
    }

    #[test]
    fn objects_come_one_by_one_and_then_the_token() {
        let page = r#"{"kind":"List","metadata":{"resourceVersion":"7","continue":"more"},"items":[{"a":1},{"b":2}]}"#;
        let (seen, next) = read(page).unwrap();
        assert_eq!((seen.len(), next.as_deref()), (2, Some("more")));
        let (_, next) = read(r#"{"items":[],"metadata":{"continue":""}}"#).unwrap();
        assert_eq!(next, None);
    }

    #[test]
    fn a_page_that_is_cut_or_holds_no_list_is_an_error() {
        for page in [
            r#"{"items":[{"a":1}"#,
            r#"{"metadata":{}}"#,
            r#"{"items":null}"#,
            "[]",
            "",
        ] {
            assert!(read(page).is_err(), "{page}");
        }
    }
}
