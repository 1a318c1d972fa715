//! Whatever is framed comes back, however the stream is cut; nothing else is accepted.

use super::*;
use proptest::prelude::*;

proptest! {
    #[test]
    fn pieces_survive_any_cutting(
        pieces in proptest::collection::vec((any::<u32>(), proptest::collection::vec(any::<u8>(), 0..300)), 0..20),
        portion in 1_usize..50,
    ) {
        let mut stream = BytesMut::new();
        for (oid, bytes) in &pieces {
            put_piece(&mut stream, *oid, bytes);
        }
        let mut decoder = PieceDecoder::default();
        let mut found = Vec::new();
        for cut in stream.chunks(portion) {
            decoder.feed(cut);
            while let Some(piece) = decoder.next_piece().unwrap() {
                found.push((piece.oid, piece.bytes.to_vec()));
            }
        }
        decoder.finish().unwrap();
        prop_assert_eq!(found, pieces);
    }
}

#[test]
fn a_torn_or_oversized_piece_is_refused() {
    let mut decoder = PieceDecoder::default();
    decoder.feed(&[0, 0, 0, 1, 0, 0, 0, 9, 1]);
    assert_eq!(decoder.next_piece().unwrap(), None);
    assert!(decoder.finish().is_err());

    let mut decoder = PieceDecoder::default();
    decoder.feed(&[0, 0, 0, 1, 0xFF, 0, 0, 0]);
    assert!(decoder.next_piece().is_err());
}
