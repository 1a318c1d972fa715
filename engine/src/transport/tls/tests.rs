//! Certificates are foreign bytes, and names must not match more than they say.

use proptest::prelude::*;

use super::certificate::Certificate;
use super::verifier::names_host;

proptest! {
    #[test]
    fn no_bytes_make_the_reader_panic(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        if let Ok(certificate) = Certificate::read(&bytes) {
            let _ = (certificate.end_point(), certificate.common_name());
        }
    }

    #[test]
    fn nested_nonsense_is_survived(
        tags in proptest::collection::vec(proptest::sample::select(vec![0x30u8, 0x31, 0x02, 0x03, 0x06, 0x17, 0xa0, 0xa3]), 0..40),
        length in any::<u8>(),
    ) {
        let mut bytes = Vec::new();
        for tag in tags {
            bytes.insert(0, bytes.len() as u8 & length);
            bytes.insert(0, tag);
        }
        let _ = Certificate::read(&bytes);
    }
}

#[test]
fn names_match_one_label_at_most() {
    for (pattern, host, is_match) in [
        ("db.example.com", "DB.example.com", true),
        ("*.example.com", "db.example.com", true),
        ("*.example.com", "a.db.example.com", false),
        ("*.example.com", "example.com", false),
        ("*.example.com", ".example.com", false),
        ("*.com", "example.com", false),
        ("*", "db", false),
        ("d*.example.com", "db.example.com", false),
        ("db", "db.example.com", false),
    ] {
        assert_eq!(names_host(pattern, host), is_match, "{pattern} {host}");
    }
}
