//! Events arrive in whatever pieces the network makes.

use super::*;

const STREAM: &str = ": hello\n\nid: evt_1\nevent: run\ndata: {\"a\":1}\n\ndata: two\r\ndata: lines\r\n\r\n:\n\nid: 3\ndata: ü\n\ndata: unfinished\n";

fn events(piece_bytes: usize) -> Vec<ServerEvent> {
    let mut parser = Parser::default();
    let mut all = Vec::new();
    for piece in STREAM.as_bytes().chunks(piece_bytes) {
        parser.feed(piece).unwrap();
        while let Some(event) = parser.take() {
            all.push(event);
        }
    }
    all
}

#[test]
fn any_cut_gives_the_same_events() {
    let whole = events(usize::MAX);
    assert_eq!(
        whole,
        [
            ServerEvent {
                id: Some("evt_1".to_owned()),
                data: "{\"a\":1}".to_owned()
            },
            ServerEvent {
                id: None,
                data: "two\nlines".to_owned()
            },
            ServerEvent {
                id: Some("3".to_owned()),
                data: "ü".to_owned()
            },
        ]
    );
    for piece_bytes in 1..STREAM.len() {
        assert_eq!(events(piece_bytes), whole, "pieces of {piece_bytes}");
    }
}

#[test]
fn an_endless_event_is_refused() {
    let mut parser = Parser::default();
    let piece = vec![b'x'; 1 << 20];
    let refused = (0..32).any(|_| {
        let _ = parser.take();
        parser.feed(&piece).is_err()
    });
    assert!(refused);
}
