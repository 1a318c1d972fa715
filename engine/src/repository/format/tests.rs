//! Golden vectors, and properties: what is encoded decodes to itself, and nothing hostile does harm.
//!
//! The vectors are SHA-256 sums of encodings with fixed salts and nonces; `assets/docs/FORMAT.md`
//! describes the bytes. They change only with the format's number.

use proptest::prelude::*;

use super::derive::{Domain, Role, role_key};
use super::digest::Digest;
use super::extents::{Extent, ListBuilder, Node, decode_node};
use super::frame::SessionKey;
use super::pack::{Directory, Entry};
use super::sealed::Kind;
use super::segment::{Located, Segment};
use super::session::Wrapped;
use super::slot::{Bundle, Cost, SlotSecret};
use super::*;
use crate::ids::{BackupId, NoteId, SessionId, SlotId};
use crate::secret::{SecretKey, SecretText};

mod documents;

const UID: [u8; 16] = *b"repository  uid!";
const NONCE: [u8; 12] = [3; 12];

fn key(byte: u8) -> SecretKey {
    SecretKey::new([byte; 32])
}

fn session() -> (SessionId, Wrapped) {
    let id = SessionId::from_bits(5);
    let wrap_key = role_key(&UID, &key(2), Role::Wrap);
    (id, Wrapped::wrap_with(&wrap_key, &UID, id, &key(9), NONCE))
}

fn entry(number: u8, offset: u32) -> Entry {
    Entry {
        id: Digest([number; 32]),
        offset,
        stored_bytes: 100,
        raw_bytes: 300,
        codec: Codec::Lz4,
        session: 0,
    }
}

fn sum(bytes: &[u8]) -> String {
    pack::name(bytes).to_string()[..16].to_owned()
}

fn header_object() -> Vec<u8> {
    let created_at = chrono::DateTime::from_timestamp(1_700_000_000, 0).unwrap();
    let header = header::Header {
        uid: UID,
        created_at,
        features: header::Features::default(),
    };
    header.encode(&role_key(&UID, &key(2), Role::Header))
}

fn slot_object(secret: &SlotSecret<'_>, cost: Cost) -> Vec<u8> {
    let bundle = Bundle {
        domain: key(1),
        repository: key(2),
    };
    let id = SlotId::from_bits(7);
    slot::seal_with(id, &UID, "label", secret, &bundle, cost, ([4; 32], NONCE)).unwrap()
}

const NO_COST: Cost = Cost {
    memory_kib: 0,
    passes: 0,
    lanes: 0,
};
const SMALL_COST: Cost = Cost {
    memory_kib: 64,
    passes: 1,
    lanes: 1,
};

fn pack_object() -> Vec<u8> {
    let mut bytes = Vec::new();
    pack::begin_with(&UID, [6; 32], &mut bytes);
    bytes.extend_from_slice(&[0xAB; 200]);
    let directory = Directory {
        sessions: vec![session()],
        entries: vec![entry(1, 80), entry(2, 180)],
    };
    let index_key = role_key(&UID, &key(2), Role::Index);
    pack::finish(&index_key, directory.encode(), &mut bytes);
    bytes
}

fn segment_plain() -> Segment {
    Segment {
        sessions: vec![session()],
        packs: vec![(Digest([8; 32]), 5000)],
        chunks: vec![
            Located {
                entry: entry(1, 80),
                pack: 0,
            },
            Located {
                entry: entry(2, 180),
                pack: 0,
            },
        ],
        tombstones: vec![Digest([9; 32])],
        supersedes: vec![NoteId::from_bits(11)],
    }
}

fn log_header() -> log::LogHeader {
    log::LogHeader {
        stream: "wal".into(),
        timeline: "1".into(),
        start: "0000000001000000".into(),
        end: "0000000002000000".into(),
        partial: false,
        length_bytes: 3_000_000,
        facts: serde_json::Value::Null,
    }
}

fn sealed_object(plain: &[u8]) -> Vec<u8> {
    let role_key = role_key(&UID, &key(2), Role::Meta);
    sealed::seal_with(Kind::Note, 1, &UID, &role_key, "notes/x", plain, [5; 32])
}

fn note() -> records::Note {
    records::Note {
        backup: BackupId::from_bits(1),
        at: chrono::DateTime::from_timestamp(1_700_000_000, 0).unwrap(),
        by: "someone".into(),
        label: Some("before the move".into()),
        annotation: None,
        pinned: Some(true),
    }
}

#[test]
fn encodings_never_change() {
    let domain = Domain::new(key(1));
    let mut frame = [[0; 12].as_slice(), b"payload", &[0; 16]].concat();
    SessionKey::new(&key(9)).seal_with(&Digest([1; 32]), Codec::Raw, 7, &mut frame, NONCE);
    let gear: Vec<u8> = domain
        .gear_table()
        .iter()
        .flat_map(|n| n.to_le_bytes())
        .collect();
    let mut node = Vec::new();
    let mut list = ListBuilder::default();
    let mut store = |bytes: Vec<u8>| {
        node = bytes;
        Ok::<_, wire::Malformed>(Digest([1; 32]))
    };
    for extent in extents(3) {
        list.add(&extent, &mut store).unwrap();
    }
    list.finish(&mut store).unwrap();
    let code = [0x5A; 20];
    let passphrase = SecretText::new("correct horse");
    let found = [
        ("chunk id", sum(&domain.chunk_id(b"chunk").0)),
        ("gear", sum(&gear)),
        ("row hash", sum(&domain.row_hash_secret())),
        (
            "roles",
            sum(&Role::ALL
                .map(|role| *role_key(&UID, &key(2), role).expose())
                .concat()),
        ),
        ("header", sum(&header_object())),
        (
            "slot, key file",
            sum(&slot_object(&SlotSecret::KeyFile(&key(3)), NO_COST)),
        ),
        (
            "slot, code",
            sum(&slot_object(&SlotSecret::RecoveryCode(code), NO_COST)),
        ),
        (
            "slot, passphrase",
            sum(&slot_object(
                &SlotSecret::Passphrase(&passphrase),
                SMALL_COST,
            )),
        ),
        ("code", sum(slot::write_code(&code).expose().as_bytes())),
        ("wrapped key", sum(session().1.as_bytes())),
        ("frame", sum(&frame)),
        ("pack", sum(&pack_object())),
        ("segment", sum(&segment_plain().encode())),
        ("list node", sum(&node)),
        ("sealed", sum(&sealed_object(b"plain"))),
        ("note", sum(&records::encode(&note()).unwrap())),
        ("log key", log::key(&log_header())),
        ("session key", session::key(SessionId::from_bits(5), 3)),
    ];
    let found: Vec<String> = found
        .iter()
        .map(|(name, sum)| format!("{name}: {sum}"))
        .collect();
    assert_eq!(found.join("\n"), GOLDEN.trim());
}

const GOLDEN: &str = "
chunk id: e87cf54bda045db1
gear: 87f89eda56d1ec49
row hash: 77bb63bc786ad109
roles: edfd06b3718a4e59
header: e4780ccd5801feb2
slot, key file: 24a99abcea9ac610
slot, code: b6d1b9605ec3784a
slot, passphrase: 7d7466b1393b07ba
code: cffbad0093b8e766
wrapped key: 1ee3e8aef069d013
frame: f7b7274aeea7ca86
pack: 716b993584c1aa06
segment: d7fdac2aa43f8e76
list node: 937b17186416ac83
sealed: 92ca4cb183dd22aa
note: 74319a9463de5b92
log key: logs/wal/1/0000000001000000-0000000002000000
session key: sessions/00000000000000000000000005/000003
";

fn extents(count: u64) -> Vec<Extent> {
    (0..count)
        .map(|number| match number % 7 {
            6 => Extent::Zeros {
                length: 1 + number * 1000,
            },
            _ => Extent::Chunk {
                id: Digest(*blake3::hash(&number.to_le_bytes()).as_bytes()),
                offset: number as u32 % 5,
                length: 1 + number as u32 % 70_000,
            },
        })
        .collect()
}

/// Builds a list's nodes and reads them back depth first.
fn through_nodes(list: &[Extent]) -> (extents::Top, Vec<Extent>, usize) {
    let mut nodes = std::collections::HashMap::new();
    let mut store = |bytes: Vec<u8>| {
        let id = Digest(*blake3::hash(&bytes).as_bytes());
        nodes.insert(id, bytes);
        Ok::<_, wire::Malformed>(id)
    };
    let mut builder = ListBuilder::default();
    for extent in list {
        builder.add(extent, &mut store).unwrap();
    }
    let top = builder.finish(&mut store).unwrap();
    let mut back = Vec::new();
    let mut stack = vec![(top.depth, top.root)];
    while let Some((level, id)) = stack.pop() {
        if level == 0 {
            continue;
        }
        match decode_node(level, &nodes[&id]).unwrap() {
            Node::Leaf(extents) => back.extend(extents),
            Node::Branch(children) => {
                stack.extend(children.iter().rev().map(|child| (level - 1, child.id)));
            }
        }
    }
    (top, back, nodes.len())
}

#[test]
fn lists_of_any_length_read_back() {
    for count in [2, 63, 64, 65, 1000, 40_000] {
        let list = extents(count);
        let (top, back, nodes) = through_nodes(&list);
        assert_eq!(back, list);
        assert_eq!(top.extents, count);
        let length: u64 = list.iter().map(Extent::length_bytes).sum();
        assert_eq!(top.length_bytes, length);
        assert!(nodes as u64 <= 2 + count / extents::ENTRIES_MIN as u64 * 11 / 10);
    }
    let (top, ..) = through_nodes(&[]);
    assert_eq!((top.depth, top.extents, top.root), (0, 0, Digest::ZERO));
    let single = Extent::Chunk {
        id: Digest([1; 32]),
        offset: 0,
        length: 9,
    };
    let (top, ..) = through_nodes(&[single]);
    assert_eq!(
        (top.depth, top.root, top.length_bytes),
        (0, Digest([1; 32]), 9)
    );
}

#[test]
fn a_change_in_a_list_changes_few_nodes() {
    let mut nodes = std::collections::HashSet::new();
    let mut list = extents(20_000);
    for (changed, allowed) in [(false, usize::MAX), (true, 8)] {
        if changed {
            list.splice(5000..5000, extents(3));
        }
        let mut new = 0;
        let mut store = |bytes: Vec<u8>| {
            let id = Digest(*blake3::hash(&bytes).as_bytes());
            new += usize::from(nodes.insert(id));
            Ok::<_, wire::Malformed>(id)
        };
        let mut builder = ListBuilder::default();
        for extent in &list {
            builder.add(extent, &mut store).unwrap();
        }
        builder.finish(&mut store).unwrap();
        assert!(new <= allowed, "{new} new nodes");
    }
}

#[test]
fn every_flipped_bit_is_found() {
    fn all_found(bytes: &[u8], what: &str, is_sound: impl Fn(&[u8]) -> bool) {
        assert!(is_sound(bytes), "{what}");
        let mut bytes = bytes.to_vec();
        for place in 0..bytes.len() {
            for bit in 0..8 {
                bytes[place] ^= 1 << bit;
                assert!(!is_sound(&bytes), "{what}: byte {place}, bit {bit}");
                bytes[place] ^= 1 << bit;
            }
        }
        for length in 0..bytes.len() {
            assert!(!is_sound(&bytes[..length]), "{what}: cut to {length}");
        }
    }
    let header_key = role_key(&UID, &key(2), Role::Header);
    all_found(&header_object(), "header", |bytes| {
        header::Header::decode(bytes)
            .is_ok_and(|(header, unproved)| unproved.prove(&header, &header_key).is_ok())
    });
    let slot = slot_object(&SlotSecret::KeyFile(&key(3)), NO_COST);
    all_found(&slot, "slot", |bytes| slot::header(bytes).is_ok());
    let meta_key = role_key(&UID, &key(2), Role::Meta);
    all_found(&sealed_object(b"a plaintext"), "sealed", |bytes| {
        sealed::open(Kind::Note, &UID, &meta_key, "notes/x", bytes).is_ok()
    });
    let mut frame = [[0; 12].as_slice(), b"payload", &[0; 16]].concat();
    let session_key = SessionKey::new(&key(9));
    let id = Digest([1; 32]);
    session_key.seal(&id, Codec::Raw, 7, &mut frame);
    all_found(&frame, "frame", |bytes| {
        session_key
            .open(&id, Codec::Raw, 7, &mut bytes.to_vec())
            .is_ok()
    });
}

#[test]
fn directories_and_segments_read_back() {
    let index_key = role_key(&UID, &key(2), Role::Index);
    let directory = pack::read_directory(&UID, &index_key, &pack_object()).unwrap();
    assert_eq!(directory.entries, [entry(1, 80), entry(2, 180)]);
    assert_eq!(directory.sessions, [session()]);
    let segment = segment_plain();
    assert_eq!(Segment::decode(1, &segment.encode()).unwrap(), segment);
    let wrap_key = role_key(&UID, &key(2), Role::Wrap);
    let (id, wrapped) = session();
    assert_eq!(wrapped.unwrap(&wrap_key, &UID, id).unwrap(), key(9));
    assert!(
        wrapped
            .unwrap(&wrap_key, &UID, SessionId::from_bits(6))
            .is_err()
    );
}

#[test]
fn slots_open_with_their_secret_alone() {
    let passphrase = SecretText::new("correct horse");
    let other = SecretText::new("correct house");
    let bytes = slot_object(&SlotSecret::Passphrase(&passphrase), SMALL_COST);
    let bundle = slot::open(&bytes, &SlotSecret::Passphrase(&passphrase)).unwrap();
    assert_eq!(bundle.unwrap().repository, key(2));
    assert!(
        slot::open(&bytes, &SlotSecret::Passphrase(&other))
            .unwrap()
            .is_none()
    );
    assert!(
        slot::open(&bytes, &SlotSecret::KeyFile(&key(3)))
            .unwrap()
            .is_none()
    );
}

#[test]
fn log_segments_read_back() {
    let body: Vec<u8> = (0..3_000_000_u32).map(|n| (n / 1000) as u8).collect();
    let plain = log::encode(&log_header(), &body);
    assert!(plain.len() < body.len() / 4);
    assert_eq!(log::decode(1, &plain).unwrap(), (log_header(), body));
}

proptest! {
    #[test]
    fn codes_survive_people(secret: [u8; 20], lower: bool, spaces: bool, wrong in 0..35_usize) {
        let text = slot::write_code(&secret);
        let mut typed = text.expose().to_owned();
        if lower { typed = typed.to_lowercase(); }
        if spaces { typed = typed.replace('-', " "); }
        prop_assert_eq!(slot::read_code(&typed), Some(secret));
        let place = typed.char_indices().filter(|(_, c)| c.is_alphanumeric()).nth(wrong).unwrap().0;
        let other = if &typed[place..=place] == "7" { "8" } else { "7" };
        typed.replace_range(place..=place, other);
        prop_assert_ne!(slot::read_code(&typed), Some(secret));
    }

    #[test]
    fn hostile_bytes_do_no_harm(bytes in prop::collection::vec(any::<u8>(), 0..4000), level in 0..14_u8) {
        let _ = header::Header::decode(&bytes);
        let _ = slot::header(&bytes);
        let _ = sealed::preamble(&bytes);
        let _ = Segment::decode(1, &bytes);
        let _ = decode_node(level, &bytes);
        let _ = log::decode(1, &bytes);
        let _ = pack::read_directory(&UID, &key(1), &bytes);
        let _ = Directory::decode(&bytes);
        let _ = slot::read_code(&String::from_utf8_lossy(&bytes));
        let _ = frame::unpack(Codec::Lz4, &bytes, &mut [0; 512]);
    }

    /// Behind the seal too: a plaintext with any change decodes to an error or to something sound.
    #[test]
    fn changed_plaintexts_do_no_harm(changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6)) {
        for mut plain in [
            segment_plain().encode(),
            pack_object(),
            log::encode(&log_header(), &[1; 2000]),
            records::encode(&note()).unwrap(),
        ] {
            for (place, value) in &changes {
                let place = place.index(plain.len());
                plain[place] = *value;
            }
            if let Ok(segment) = Segment::decode(1, &plain) {
                for located in &segment.chunks {
                    let (_, size) = segment.packs[located.pack as usize];
                    prop_assert!(u64::from(located.entry.offset) < size);
                }
            }
            let _ = pack::read_directory(&UID, &key(1), &plain);
            let _ = Directory::decode(&plain);
            let _ = log::decode(1, &plain);
            let _ = records::decode::<records::Note>(1, &plain);
        }
    }

    #[test]
    fn sealed_objects_of_any_length_read_back(length in 0..3_usize, extra in 0..2000_usize) {
        let plain = vec![7; length * (1 << 20) + extra];
        let meta_key = role_key(&UID, &key(2), Role::Meta);
        let bytes = sealed_object(&plain);
        let open = |name| sealed::open(Kind::Note, &UID, &meta_key, name, &bytes);
        prop_assert_eq!(open("notes/x"), Ok((1, plain)));
        prop_assert!(open("notes/y").is_err());
    }

    #[test]
    fn padded_sizes_hide_and_stay_small(size in 1_usize..40_000_000) {
        let padded = pack::padme(size);
        prop_assert!(padded >= size);
        prop_assert!(padded - size <= size / 8 + 1);
        prop_assert_eq!(pack::padme(padded), padded);
    }
}
