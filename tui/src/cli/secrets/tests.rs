//! What is typed and what is read.

use super::*;

fn typed(keys: &[u8]) -> Option<String> {
    read_typed(keys.iter().map(|byte| Ok(*byte)))
        .unwrap()
        .map(|secret| secret.expose().to_owned())
}

#[test]
fn a_line_can_be_corrected_and_interrupted() {
    assert_eq!(typed(b"secret\n").as_deref(), Some("secret"));
    assert_eq!(typed("pä\u{7f}ß\r".as_bytes()).as_deref(), Some("pß"));
    assert_eq!(typed(b"wrong\x15right\n").as_deref(), Some("right"));
    assert_eq!(typed(b"\x7f\x7fx\n").as_deref(), Some("x"));
    assert_eq!(typed(b"half\x04").as_deref(), Some("half"));
    assert_eq!(typed(b"half\x03"), None);
}

#[test]
fn the_first_line_of_a_file_is_the_secret() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("secret");
    std::fs::write(&file, "pass word\r\nsecond\n").unwrap();
    assert_eq!(first_line(&file, "password").unwrap().expose(), "pass word");
    std::fs::write(&file, "\nsecond\n").unwrap();
    assert_eq!(first_line(&file, "password").unwrap_err().code().exit(), 2);
    std::fs::write(&file, vec![b'x'; 100_000]).unwrap();
    assert!(first_line(&file, "password").is_err());
    let missing = first_line(&folder.path().join("none"), "password").unwrap_err();
    assert!(missing.message().contains("none"), "{missing}");
}
