//! The small records, letter by letter: a document that an old version wrote is read by every later
//! one, and a change of its words is a change of the format.

use std::collections::BTreeMap;

use serde_json::json;

use super::*;
use crate::repository::snapshot::Snapshot;
use crate::repository::stream::StreamRef;
use crate::repository::writer::Tally;
use records::{Export, ExportPart, Mark, Record, Trash, TrashAction, Verbatim};
use session::{SessionRecord, State};

fn at(seconds: i64) -> chrono::DateTime<chrono::Utc> {
    chrono::DateTime::from_timestamp(1_700_000_000 + seconds, 0).unwrap()
}

/// The document is these words, and these words are the document.
fn holds<R: Record + PartialEq + std::fmt::Debug>(record: &R, words: &serde_json::Value) {
    let bytes = records::encode(record).unwrap();
    let found: serde_json::Value = serde_json::from_slice(&bytes).unwrap();
    assert_eq!(&found, words);
    let back: R = records::decode(R::VERSION, words.to_string().as_bytes()).unwrap();
    assert_eq!(&back, record);
}

const ID: &str = "00000000000000000000000001";

#[test]
fn trash_marks_and_exports() {
    let mut trash = Trash {
        backup: BackupId::from_bits(1),
        at: at(0),
        by: "someone".into(),
        action: TrashAction::Deleted {
            purge_after: at(60),
            reason: "asked".into(),
        },
    };
    let backup = format!("bck_{ID}");
    let deleted =
        json!({"action": "deleted", "purge_after": "2023-11-14T22:14:20Z", "reason": "asked"});
    holds(
        &trash,
        &json!({"backup": backup, "at": "2023-11-14T22:13:20Z", "by": "someone", "action": deleted}),
    );
    trash.action = TrashAction::Restored;
    holds(
        &trash,
        &json!({"backup": backup, "at": "2023-11-14T22:13:20Z", "by": "someone",
            "action": {"action": "restored"}}),
    );
    let mut mark = Mark {
        collector: "host".into(),
        at: at(0),
        packs: vec![Digest([0xAB; 32])],
        idle_since: None,
    };
    let packs = ["ab".repeat(32)];
    holds(
        &mark,
        &json!({"collector": "host", "at": "2023-11-14T22:13:20Z", "packs": packs}),
    );
    mark.idle_since = Some(at(60));
    holds(
        &mark,
        &json!({"collector": "host", "at": "2023-11-14T22:13:20Z", "packs": packs,
            "idle_since": "2023-11-14T22:14:20Z"}),
    );
    let mut export = Export {
        writer: "host".into(),
        at: at(0),
        part: None,
        parts: BTreeMap::new(),
        catalog: Verbatim::of(&json!({"connections": []})).unwrap(),
    };
    holds(
        &export,
        &json!({"writer": "host", "at": "2023-11-14T22:13:20Z", "catalog": {"connections": []}}),
    );
    let id = NoteId::from_bits(1);
    export
        .parts
        .insert("some".into(), ExportPart { id, mark: 5 });
    holds(
        &export,
        &json!({"writer": "host", "at": "2023-11-14T22:13:20Z", "catalog": {"connections": []},
            "parts": {"some": {"id": "obj_00000000000000000000000001", "mark": 5}}}),
    );
    export.parts.clear();
    export.part = Some("some".into());
    holds(
        &export,
        &json!({"writer": "host", "at": "2023-11-14T22:13:20Z", "catalog": {"connections": []},
            "part": "some"}),
    );
}

#[test]
fn snapshots_and_sessions() {
    let snapshot = Snapshot {
        id: BackupId::from_bits(1),
        session: SessionId::from_bits(2),
        writer: "host".into(),
        started_at: at(0),
        committed_at: at(60),
        tree: StreamRef {
            root: Digest([1; 32]),
            depth: 1,
            length_bytes: 1000,
            extents: 2,
            checksum: Digest([2; 32]),
        },
        base: None,
        tally: Tally {
            read_bytes: 5,
            new_bytes: 4,
            stored_bytes: 3,
            chunks: 2,
            new_chunks: 1,
        },
        facts: json!({"kind": "logical"}),
    };
    holds(
        &snapshot,
        &json!({
            "id": format!("bck_{ID}"),
            "session": "ses_00000000000000000000000002",
            "writer": "host",
            "started_at": "2023-11-14T22:13:20Z",
            "committed_at": "2023-11-14T22:14:20Z",
            "tree": {"root": "01".repeat(32), "depth": 1, "length_bytes": 1000, "extents": 2,
                "checksum": "02".repeat(32)},
            "tally": {"read_bytes": 5, "new_bytes": 4, "stored_bytes": 3, "chunks": 2, "new_chunks": 1},
            "facts": {"kind": "logical"},
        }),
    );
    let record = SessionRecord {
        session: SessionId::from_bits(2),
        number: 3,
        state: State::Ended,
        writer: "host".into(),
        at: at(0),
        key: None,
    };
    holds(
        &record,
        &json!({"session": "ses_00000000000000000000000002", "number": 3, "state": "ended",
            "writer": "host", "at": "2023-11-14T22:13:20Z"}),
    );
}
