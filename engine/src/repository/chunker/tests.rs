//! Golden cut points, and properties against a reference that knows no speed.

use proptest::prelude::*;

use super::*;
use crate::repository::format::derive::Domain;
use crate::repository::format::pack;
use crate::secret::SecretKey;

fn table() -> Arc<[u64; 256]> {
    Arc::from(Domain::new(SecretKey::new([7; 32])).gear_table())
}

fn noise(length: usize) -> Vec<u8> {
    let mut bytes = vec![0; length];
    blake3::Hasher::new()
        .update(b"noise")
        .finalize_xof()
        .fill(&mut bytes);
    bytes
}

/// Chunk lengths when `data` comes in pieces of these lengths, again and again.
fn lengths(content: Content, data: &[u8], pieces: &[usize]) -> Vec<usize> {
    let mut chunker = Chunker::new(table(), content);
    let (mut lengths, mut open, mut at) = (Vec::new(), 0, 0);
    for piece in pieces.iter().cycle() {
        if at == data.len() {
            break;
        }
        let end = data.len().min(at + piece);
        while at < end {
            if let Some(length) = chunker.next(&data[at..end]) {
                lengths.push(open + length);
                open = 0;
                at += length;
            } else {
                open += end - at;
                at = end;
            }
        }
    }
    if open > 0 {
        lengths.push(open);
    }
    lengths
}

/// The rule as the module's words give it, one decision at a time.
fn reference(sizes: &Sizes, data: &[u8]) -> usize {
    let table = table();
    for length in sizes.min..=data.len().min(sizes.max) {
        let from = (sizes.min - WINDOW_BYTES).max(length.saturating_sub(64));
        let hash = data[from..length].iter().fold(0_u64, |hash, byte| {
            (hash << 1).wrapping_add(table[usize::from(*byte)])
        });
        let below = if length < sizes.normal {
            sizes.below_early
        } else {
            sizes.below_late
        };
        if hash < below || length == sizes.max {
            return length;
        }
    }
    data.len()
}

#[test]
fn cut_points_never_change() {
    let data = noise(8 << 20);
    let sum = |content| {
        let lengths = lengths(content, &data, &[1 << 20]);
        let text: Vec<String> = lengths.iter().map(usize::to_string).collect();
        let digest = pack::name(text.join(" ").as_bytes()).to_string();
        (lengths.len(), text[..4].join(" "), digest[..16].to_owned())
    };
    assert_golden(&sum(Content::TableData), GOLDEN_TABLE_DATA);
    assert_golden(&sum(Content::Metadata), GOLDEN_METADATA);
    assert!(
        lengths(Content::File, &data[..200_000], &[777])
            == [65_536, 65_536, 65_536, 200_000 - 3 * 65_536]
    );
}

const GOLDEN_TABLE_DATA: (usize, &str, &str) = (137, "97479 37724 67416 46240", "27a05e225b82fc6a");
const GOLDEN_METADATA: (usize, &str, &str) = (543, "20458 12613 13494 25644", "cca103d2e30a16be");

fn assert_golden(found: &(usize, String, String), golden: (usize, &str, &str)) {
    assert_eq!((found.0, found.1.as_str(), found.2.as_str()), golden);
}

#[test]
fn lengths_are_those_of_the_rule() {
    let data = noise(4 << 20);
    for (content, sizes) in [
        (Content::TableData, TABLE_DATA),
        (Content::Metadata, METADATA),
    ] {
        let mut rest = &data[..];
        for length in lengths(content, &data, &[65_537]) {
            assert_eq!(length, reference(&sizes, rest));
            rest = &rest[length..];
        }
    }
}

#[test]
fn lengths_spread_around_their_aim() {
    let data = noise(64 << 20);
    let lengths = lengths(Content::TableData, &data, &[1 << 20]);
    let mean = data.len() / lengths.len();
    assert!((56 << 10..72 << 10).contains(&mean), "mean {mean}");
    let forced = lengths
        .iter()
        .filter(|length| **length == TABLE_DATA.max)
        .count();
    assert!(forced * 100 < lengths.len(), "{forced} cut by force");
}

#[test]
fn an_insertion_moves_only_cuts_nearby() {
    let data = noise(8 << 20);
    let mut changed = data.clone();
    changed.splice(1_000_000..1_000_000, *b"one more row\n");
    let ends = |data: &[u8]| {
        let mut end = 0;
        lengths(Content::TableData, data, &[1 << 20])
            .iter()
            .map(|length| {
                end += length;
                data.len() - end
            })
            .collect::<std::collections::HashSet<_>>()
    };
    let (before, after) = (ends(&data), ends(&changed));
    let kept = before
        .intersection(&after)
        .filter(|to_end| **to_end < data.len() - 1_000_000);
    let all = before
        .iter()
        .filter(|to_end| **to_end < data.len() - 1_000_000);
    assert!(all.count() - kept.count() <= 6);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn pieces_do_not_matter(
        pieces in prop::collection::vec(1_usize..200_000, 1..20),
        kind in 0_usize..3,
    ) {
        let content = [Content::TableData, Content::Metadata, Content::File][kind];
        let data = noise(1_500_000);
        prop_assert_eq!(
            lengths(content, &data, &pieces),
            lengths(content, &data, &[data.len()])
        );
    }
}
