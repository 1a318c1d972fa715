//! Tests.

use std::io::Write as _;

use serde_json::json;

use super::files_read;

#[tokio::test]
async fn a_file_stands_in_for_its_text() {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    file.write_all(b"-----BEGIN KEY-----\n").unwrap();
    let name = file.path().to_str().unwrap();
    let body = json!({"ssh": {"user": "op", "private_key": {"$file": name}}, "file": "kept"});
    assert_eq!(
        files_read(Some(body)).await.unwrap(),
        Some(
            json!({"ssh": {"user": "op", "private_key": "-----BEGIN KEY-----\n"}, "file": "kept"})
        )
    );
    assert_eq!(files_read(None).await.unwrap(), None);
}

#[tokio::test]
async fn a_file_that_is_missing_is_named() {
    let body = json!({"private_key": {"$file": "/nowhere/key"}});
    let error = files_read(Some(body)).await.unwrap_err();
    assert!(error.to_string().contains("/nowhere/key"), "{error}");
}
