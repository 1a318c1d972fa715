//! Paths and problem answers.

use super::*;

#[test]
fn names_cannot_leave_their_segment() {
    assert_eq!(
        path(&["backups", "shop/orders@latest", "log"]),
        "/api/v1/backups/shop%2Forders@latest/log"
    );
    assert_eq!(
        path(&["connections", "a?b#c%d e"]),
        "/api/v1/connections/a%3Fb%23c%25d%20e"
    );
    assert_eq!(path(&["connections", ".."]), "/api/v1/connections/%2E%2E");
}

#[test]
fn queries_hold_what_is_set() {
    let query = backstay_engine::model::BackupList {
        connection: Some("a&b=c".to_owned()),
        limit: Some(5),
        ..Default::default()
    };
    assert_eq!(
        with_query("/api/v1/backups", &query).unwrap(),
        "/api/v1/backups?connection=a%26b%3Dc&limit=5"
    );
}

#[test]
fn problems_become_the_error_they_describe() {
    let error = error_of(
        StatusCode::NOT_FOUND,
        br#"{"type":"about:blank","title":"Not Found","status":404,"detail":"There is no x","code":"backup.not_found","hint":"Look","errors":[{"field":"a","message":"b"}]}"#,
    );
    assert_eq!(error.code(), Code::BackupNotFound);
    assert_eq!(error.message(), "There is no x");
    assert_eq!(error.hint_text(), Some("Look"));
    assert_eq!(error.fields().len(), 1);
}

#[test]
fn an_answer_that_is_no_problem_goes_by_its_status() {
    for (status, exit) in [(400, 2), (401, 4), (404, 3), (409, 6), (500, 1)] {
        let error = error_of(StatusCode::from_u16(status).unwrap(), b"<html>");
        assert_eq!(error.code().exit(), exit, "{status}");
    }
}

#[test]
fn addresses_of_engines_are_read_and_written_alike() {
    use super::connect::Address;
    for (written, kept, in_the_clear) in [
        (
            "https://Backup.Example.com",
            "https://backup.example.com:443",
            false,
        ),
        ("https://backup:8443/", "https://backup:8443", false),
        ("http://backup:8080", "http://backup:8080", true),
        ("http://127.0.0.1:8080", "http://127.0.0.1:8080", false),
        ("http://[::1]:80", "http://[::1]:80", false),
        ("https://[2001:db8::1]", "https://[2001:db8::1]:443", false),
    ] {
        let address = Address::parse(written).unwrap();
        assert_eq!(address.url(), kept);
        assert_eq!(address.is_in_the_clear(), in_the_clear, "{written}");
    }
    for wrong in [
        "backup:8443",
        "ftp://backup",
        "https://ann@backup",
        "https://backup/api",
        "https://backup?x",
        "https://",
    ] {
        assert_eq!(
            Address::parse(wrong).unwrap_err().code(),
            Code::Invalid,
            "{wrong}"
        );
    }
}
