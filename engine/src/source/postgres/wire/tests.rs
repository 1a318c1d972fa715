//! Foreign bytes: whatever arrives, the decoder answers with a message or a reason.

use proptest::prelude::*;

use super::inbox::parse_header;
use super::message::{Authentication, Message, decode};
use super::*;
use crate::source::postgres::connect::Stream;

const TAGS: &[u8] = b"TDCHGcZENSKRIAvdWxyz1\x00\xff";

fn error_frame(fields: &[(u8, &str)]) -> Vec<u8> {
    let mut body = Vec::new();
    for (field, text) in fields {
        body.push(*field);
        body.extend_from_slice(text.as_bytes());
        body.push(0);
    }
    body.push(0);
    body
}

#[test]
fn errors_keep_their_fields() {
    let body = error_frame(&[
        (b'S', "FEHLER"),
        (b'V', "ERROR"),
        (b'C', "42P01"),
        (b'M', "no"),
        (b'H', "look"),
        (b'?', "unknown fields are skipped"),
    ]);
    let Ok(Message::Error(error)) = decode(b'E', &body) else {
        panic!("not an error");
    };
    assert_eq!(
        (error.severity.as_str(), error.sqlstate.as_str()),
        ("ERROR", "42P01")
    );
    assert_eq!(error.hint.as_deref(), Some("look"));
}

#[test]
fn lengths_from_outside_are_checked() {
    assert_eq!(parse_header(b"D\0\0\0"), Ok(None));
    assert!(parse_header(b"D\0\0\0\x03").is_err());
    assert!(parse_header(b"D\xff\xff\xff\xff").is_err());
    assert!(decode(b'D', b"\xff\xff").is_err());
    assert!(decode(b'D', b"\0\x01\x7f\xff\xff\xffa").is_err());
    assert!(decode(b'D', b"\0\x01\xff\xff\xff\xfe").is_err());
    assert_eq!(
        decode(b'D', b"\0\x01\xff\xff\xff\xff"),
        Ok(Message::Row(vec![None]))
    );
    assert!(decode(b'T', b"\xff\xffa\0").is_err());
    assert_eq!(
        decode(b'R', b"\0\0\0\x05abcd"),
        Ok(Message::Authentication(Authentication::Md5(*b"abcd")))
    );
    assert!(decode(b'R', b"\0\0\0\x05abc").is_err());
}

/// Speaks a script to a connection that believes it talks to a server.
fn peer(script: Vec<u8>, state: State) -> Connection {
    let (ours, mut theirs) = tokio::io::duplex(1 << 16);
    tokio::spawn(async move {
        let _ = theirs.write_all(&script).await;
        let _ = theirs.shutdown().await;
        let mut ignored = Vec::new();
        let _ = tokio::io::AsyncReadExt::read_to_end(&mut theirs, &mut ignored).await;
    });
    Connection {
        io: Box::new(ours),
        inbox: Inbox::new(),
        outbox: BytesMut::new(),
        state,
        database: "d".to_owned(),
        notices: VecDeque::new(),
        canceller: Canceller {
            target: Arc::new(Target::from_url("postgres://u@localhost:1/d").unwrap()),
            encrypted: false,
            key: None,
        },
    }
}

fn frame(tag: u8, payload: &[u8]) -> Vec<u8> {
    let mut bytes = vec![tag];
    bytes.extend_from_slice(&(payload.len() as u32 + 4).to_be_bytes());
    bytes.extend_from_slice(payload);
    bytes
}

/// A frame that may lie about itself.
fn any_frame() -> impl Strategy<Value = Vec<u8>> {
    let payload = proptest::collection::vec(any::<u8>(), 0..40);
    let lie = prop_oneof![6 => Just(None), 1 => any::<u32>().prop_map(Some)];
    (proptest::sample::select(TAGS), payload, lie).prop_map(|(tag, payload, lie)| {
        let mut bytes = frame(tag, &payload);
        if let Some(length) = lie {
            bytes[1..5].copy_from_slice(&length.to_be_bytes());
        }
        bytes
    })
}

fn run<T>(work: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    runtime.unwrap().block_on(work)
}

proptest! {
    #[test]
    fn no_payload_makes_the_decoder_panic(
        tag in proptest::sample::select(TAGS),
        payload in proptest::collection::vec(any::<u8>(), 0..200),
    ) {
        let _ = decode(tag, &payload);
    }

    #[test]
    fn hostile_servers_get_an_error_in_every_state(
        frames in proptest::collection::vec(any_frame(), 0..12),
        copying in any::<bool>(),
    ) {
        run(async {
            let mut script = if copying { frame(b'H', b"\0\0\0") } else { Vec::new() };
            script.extend(frames.concat());
            let mut connection = peer(script.clone(), State::Idle);
            let _ = connection.query("SELECT 1").await;
            let mut connection = peer(script.clone(), State::Idle);
            if let Ok(mut copy) = connection.copy_out("COPY t TO STDOUT", None).await {
                while let Ok(Some(block)) = copy.next().await {
                    assert!(block.len() <= BLOCK_BYTES);
                }
            }
            let mut connection = peer(script.clone(), State::Idle);
            if let Ok(mut copy) = connection.copy_in("COPY t FROM STDIN").await {
                let _ = copy.send(bytes::Bytes::from(vec![b'x'; 300_000])).await;
                let _ = copy.finish().await;
            }
            let (ours, mut theirs) = tokio::io::duplex(1 << 16);
            let target = Target::from_url("postgres://u:p@localhost:1/d").unwrap();
            let talk = async {
                let _ = theirs.write_all(&script).await;
                drop(theirs);
            };
            let stream = Stream { io: Box::new(ours), encrypted: false, channel_binding: None };
            let (login, ()) = tokio::join!(Connection::start(&target, "d", stream), talk);
            assert!(login.is_err());
        });
    }

    #[test]
    fn rows_arrive_whole_wherever_messages_are_cut(
        rows in proptest::collection::vec("[a-z]{0,30}", 1..60),
        cuts in proptest::collection::vec(1usize..50, 0..20),
    ) {
        let text = rows.join("\n") + "\n";
        let mut script = frame(b'H', b"\0\0\0");
        let mut rest = text.as_bytes();
        for cut in cuts {
            let (piece, after) = rest.split_at(cut.min(rest.len()));
            script.extend(frame(b'd', piece));
            rest = after;
        }
        script.extend(frame(b'd', rest));
        script.extend(frame(b'N', &error_frame(&[(b'M', "a notice in between")])));
        script.extend(frame(b'c', b""));
        script.extend(frame(b'C', format!("COPY {}\0", rows.len()).as_bytes()));
        script.extend(frame(b'Z', b"I"));
        run(async {
            let mut connection = peer(script, State::Idle);
            let secret = RowSecret::new([3; ROW_SECRET_BYTES]);
            let mut copy = connection.copy_out("COPY t TO STDOUT", Some(&secret)).await.unwrap();
            let mut got = Vec::new();
            while let Some(block) = copy.next().await.unwrap() {
                got.extend_from_slice(&block);
            }
            assert_eq!(got, text.as_bytes());
            let mut counter = RowCounter::new(&secret);
            counter.update(text.as_bytes());
            assert_eq!(copy.tally().unwrap(), counter.tally());
            drop(copy);
            assert_eq!(connection.take_notices().len(), 1);
        });
    }
}

#[test]
fn a_server_that_miscounts_is_caught() {
    run(async {
        let mut script = frame(b'H', b"\0\0\0");
        script.extend(frame(b'd', b"one\n"));
        script.extend(frame(b'c', b""));
        script.extend(frame(b'C', b"COPY 2\0"));
        script.extend(frame(b'Z', b"I"));
        let mut connection = peer(script, State::Idle);
        let secret = RowSecret::new([3; ROW_SECRET_BYTES]);
        let mut copy = connection
            .copy_out("COPY t TO STDOUT", Some(&secret))
            .await
            .unwrap();
        while copy.next().await.unwrap().is_some() {}
        assert_eq!(
            copy.tally().expect_err("miscounted").code(),
            Code::SourceProtocol
        );
    });
}

#[test]
fn a_server_cannot_skip_its_own_proof() {
    run(async {
        let mut script = frame(b'R', b"\0\0\0\x0aSCRAM-SHA-256\0\0");
        script.extend(frame(b'R', b"\0\0\0\0"));
        script.extend(frame(b'Z', b"I"));
        let (ours, mut theirs) = tokio::io::duplex(1 << 16);
        theirs.write_all(&script).await.unwrap();
        let target = Target::from_url("postgres://u:p@localhost:1/d").unwrap();
        let stream = Stream {
            io: Box::new(ours),
            encrypted: false,
            channel_binding: None,
        };
        let error = Connection::start(&target, "d", stream)
            .await
            .expect_err("let in");
        assert_eq!(error.code(), Code::ConnectionAuth);
    });
}

#[test]
fn the_password_exchange_is_bound_to_the_channel_when_both_sides_can() {
    run(async {
        let both = b"\0\0\0\x0aSCRAM-SHA-256\0SCRAM-SHA-256-PLUS\0\0";
        let plain = b"\0\0\0\x0aSCRAM-SHA-256\0\0";
        for (offered, end_point, mechanism, flag) in [
            (
                both.as_slice(),
                Some(vec![7; 32]),
                "SCRAM-SHA-256-PLUS\0",
                "p=tls-server-end-point,,",
            ),
            (both.as_slice(), None, "SCRAM-SHA-256\0", "n,,"),
            // Ours could, theirs says it cannot: telling so exposes whoever struck it from the list.
            (
                plain.as_slice(),
                Some(vec![7; 32]),
                "SCRAM-SHA-256\0",
                "y,,",
            ),
        ] {
            let (ours, mut theirs) = tokio::io::duplex(1 << 16);
            theirs.write_all(&frame(b'R', offered)).await.unwrap();
            theirs.shutdown().await.unwrap();
            let target = Target::from_url("postgres://u:p@localhost:1/d").unwrap();
            let stream = Stream {
                io: Box::new(ours),
                encrypted: end_point.is_some(),
                channel_binding: end_point,
            };
            assert!(Connection::start(&target, "d", stream).await.is_err());
            let mut sent = Vec::new();
            tokio::io::AsyncReadExt::read_to_end(&mut theirs, &mut sent)
                .await
                .unwrap();
            let sent = String::from_utf8_lossy(&sent).into_owned();
            assert!(sent.contains(mechanism) && sent.contains(flag), "{sent:?}");
        }
    });
}
