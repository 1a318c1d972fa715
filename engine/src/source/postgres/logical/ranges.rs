//! Cutting a table into ranges of blocks that are copied side by side.
//!
//! Cuts lie at fixed multiples of a number of blocks, so that a range whose rows did not change has
//! the same bytes in every backup and is stored once. In one snapshot this is safe: a visible row
//! version does not move, and the last range is open, whatever the table's size is by then.

use std::num::NonZeroU32;
use std::ops::RangeInclusive;

use super::draft::TableFacts;

/// Blocks in a range: 64 MiB at the usual block size.
pub const RANGE_BLOCKS: NonZeroU32 = NonZeroU32::new(8192).unwrap();

/// The first version that reads a range of `ctid` without reading the whole table.
const FIRST_VERSION: u32 = 140_000;

/// The most ranges a table is cut into; beyond, ranges become larger by whole multiples.
const RANGES_MAX: u64 = 16_384;

/// The blocks that one `COPY` reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct BlockRange {
    /// The first block.
    pub first_block: u32,
    /// The block after the last; `None` reads to the table's end.
    pub end_block: Option<u32>,
}

impl BlockRange {
    /// The whole table.
    pub const WHOLE: Self = Self {
        first_block: 0,
        end_block: None,
    };

    /// Whether it is the whole table.
    pub fn is_whole(&self) -> bool {
        *self == Self::WHOLE
    }
}

/// The ranges of a table, at least one, in order, without gaps; the last one is open. `range_blocks`
/// is how many one has, [`RANGE_BLOCKS`] everywhere but in tests.
pub fn plan(table: &TableFacts, version: u32, range_blocks: NonZeroU32) -> Vec<BlockRange> {
    let splittable =
        version >= FIRST_VERSION && table.access_method == "heap" && table.filter.is_empty();
    if !splittable {
        return vec![BlockRange::WHOLE];
    }
    let blocks = table.heap_pages.min(u64::from(u32::MAX));
    let step = step_blocks(blocks, range_blocks);
    let cuts = blocks.saturating_sub(1) / u64::from(step);
    let cut = |n: u64| u32::try_from(n * u64::from(step)).unwrap_or(u32::MAX);
    let ranges: RangeInclusive<u64> = 0..=cuts;
    ranges
        .map(|n| BlockRange {
            first_block: cut(n),
            end_block: (n < cuts).then(|| cut(n + 1)),
        })
        .collect()
}

/// Blocks per range: a power of two times what was asked for, so that a grown table keeps its cuts.
fn step_blocks(blocks: u64, range_blocks: NonZeroU32) -> u32 {
    let mut step = range_blocks.get();
    while blocks / u64::from(step) >= RANGES_MAX {
        step *= 2;
    }
    step
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn table(heap_pages: u64) -> TableFacts {
        TableFacts {
            number: 1,
            oid: 1,
            schema: "s".to_owned(),
            name: "t".to_owned(),
            columns: vec!["a".to_owned()],
            pages: heap_pages,
            heap_pages,
            rows: None,
            access_method: "heap".to_owned(),
            filter: String::new(),
            extension: false,
            load_through: None,
            after: Vec::new(),
        }
    }

    fn cut(table: &TableFacts, version: u32) -> Vec<BlockRange> {
        plan(table, version, RANGE_BLOCKS)
    }

    proptest! {
        #[test]
        fn ranges_cover_every_block_once(pages in 0..=u64::from(u32::MAX) + 5) {
            let ranges = cut(&table(pages), 140_000);
            prop_assert!(ranges.len() as u64 <= RANGES_MAX);
            prop_assert_eq!(ranges[0].first_block, 0);
            for pair in ranges.windows(2) {
                prop_assert_eq!(pair[0].end_block, Some(pair[1].first_block));
                prop_assert!(pair[0].first_block < pair[1].first_block);
                prop_assert_eq!(pair[1].first_block % RANGE_BLOCKS.get(), 0);
            }
            prop_assert_eq!(ranges[ranges.len() - 1].end_block, None);
        }

        #[test]
        fn growth_keeps_the_cuts(pages in 1u64..3_000_000, more in 0u64..3_000_000) {
            let before = cut(&table(pages), 150_000);
            let after = cut(&table(pages + more), 150_000);
            for (old, new) in before.iter().zip(&after).take(before.len() - 1) {
                prop_assert_eq!(old, new);
            }
        }
    }

    #[test]
    fn only_plain_heaps_of_newer_servers_are_cut() {
        let large = table(100_000);
        assert_eq!(cut(&large, 140_000).len(), 13);
        assert_eq!(cut(&large, 130_012), [BlockRange::WHOLE]);
        let columnar = TableFacts {
            access_method: "columnar".to_owned(),
            ..large.clone()
        };
        assert_eq!(cut(&columnar, 150_000), [BlockRange::WHOLE]);
        let config = TableFacts {
            filter: "WHERE a".to_owned(),
            ..large
        };
        assert_eq!(cut(&config, 150_000), [BlockRange::WHOLE]);
        assert_eq!(cut(&table(8192), 150_000), [BlockRange::WHOLE]);
        assert_eq!(cut(&table(8193), 150_000).len(), 2);
    }
}
