//! Every tenant exactly once, at the most detailed level that fits: folded block, table row, name, count.

use std::collections::BTreeMap;
use std::fmt::Write as _;

/// A tenant at each level of detail.
pub(super) struct Item {
    /// Mark and word of the group it is counted in: `➕ add`.
    pub(super) group: String,
    /// Of the folded block.
    pub(super) summary: String,
    /// Cells of a table row, ready: `| ➕ add | name | 2 | 17 | line 12 |`.
    pub(super) row: String,
    /// As code.
    pub(super) name: String,
}

/// The heading of the table of rows.
const ROWS: &str = "| | Tenant | GitHub | Cluster | Where |\n|:--|:--|--:|--:|:--|\n";
/// No block takes less.
const SMALLEST: usize = 150;
/// After so many blocks in a row that did not fit, no more are written for nothing.
const MISSES: usize = 5;
/// Headings, and the sentence about those who are only counted.
const FRAME: usize = 900;

/// `items` in the order of importance; `block` writes the n-th in full, and is asked only while there is room.
pub(super) fn place(items: &[Item], budget: usize, block: impl Fn(usize) -> String) -> String {
    let mut left = budget.saturating_sub(FRAME);
    let sum = |size: fn(&Item) -> usize| items.iter().map(size).sum::<usize>();
    let (mut rows_after, mut names_after) = (sum(row_size), sum(name_size));
    let (mut placed, mut misses) = (Placed::default(), 0);
    for (index, item) in items.iter().enumerate() {
        rows_after -= row_size(item);
        names_after -= name_size(item);
        let worth_it = left > rows_after + SMALLEST && misses < MISSES;
        let full = worth_it.then(|| block(index));
        misses += usize::from(worth_it);
        match full.filter(|block| block.len() + rows_after <= left) {
            Some(block) => {
                left -= placed.block(&block);
                misses = 0;
            }
            None if row_size(item) + names_after <= left => left -= placed.row(item),
            None if name_size(item) <= left => left -= placed.name(item),
            None => placed.count(item),
        }
    }
    placed.finish()
}

fn row_size(item: &Item) -> usize {
    item.row.len() + 1
}

fn name_size(item: &Item) -> usize {
    item.name.len() + 2
}

#[derive(Default)]
struct Placed<'a> {
    blocks: String,
    rows: String,
    names: BTreeMap<&'a str, Vec<&'a str>>,
    counts: BTreeMap<&'a str, usize>,
}

/// Each adds the item and says how many bytes that took.
impl<'a> Placed<'a> {
    fn block(&mut self, block: &str) -> usize {
        self.blocks.push_str(block);
        block.len()
    }

    fn row(&mut self, item: &Item) -> usize {
        self.rows.push_str(&item.row);
        self.rows.push('\n');
        row_size(item)
    }

    fn name(&mut self, item: &'a Item) -> usize {
        self.names.entry(&item.group).or_default().push(&item.name);
        name_size(item)
    }

    fn count(&mut self, item: &'a Item) {
        *self.counts.entry(&item.group).or_default() += 1;
    }

    fn finish(self) -> String {
        let mut text = self.blocks;
        if !self.rows.is_empty() {
            write!(text, "\n{ROWS}{}", self.rows).expect("writing to a string");
        }
        for (group, names) in &self.names {
            write!(
                text,
                "\n**{group}** ({}): {}\n",
                names.len(),
                names.join(", ")
            )
            .expect("writing to a string");
        }
        if !self.counts.is_empty() {
            let counts = self
                .counts
                .iter()
                .map(|(group, count)| format!("{count} × {group}"));
            let counts = counts.collect::<Vec<_>>().join(", ");
            write!(text, "\n**Not listed here, for want of room:** {counts}.\n")
                .expect("writing to a string");
        }
        text
    }
}
