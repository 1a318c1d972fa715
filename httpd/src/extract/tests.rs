//! What a wrong body is answered with.

use super::*;
use serde::Deserialize;

#[derive(Debug, Deserialize, PartialEq)]
#[serde(deny_unknown_fields)]
struct Outer {
    name: String,
    #[serde(default)]
    port: u16,
    #[serde(default)]
    inner: Vec<Inner>,
}

#[derive(Debug, Deserialize, PartialEq)]
#[serde(deny_unknown_fields)]
struct Inner {
    kind: String,
}

fn fields(json: &str) -> Vec<(String, String)> {
    let problem = decode::<Outer>(serde_json::from_str(json).unwrap()).unwrap_err();
    assert_eq!(problem.status(), StatusCode::BAD_REQUEST);
    let rendered = format!("{problem:?}");
    assert!(rendered.contains("request.invalid"), "{rendered}");
    problem_fields(&problem)
}

fn problem_fields(problem: &Problem) -> Vec<(String, String)> {
    problem
        .field_errors()
        .iter()
        .map(|e| (e.field.clone(), e.message.clone()))
        .collect()
}

#[test]
fn every_unknown_field_is_named_with_its_path() {
    let named =
        fields(r#"{"name":"a","colour":1,"inner":[{"kind":"x"},{"kind":"y","size":2}],"shape":3}"#);
    let mut names: Vec<_> = named.iter().map(|(field, _)| field.as_str()).collect();
    names.sort_unstable();
    assert_eq!(names, ["colour", "inner[1].size", "shape"]);
}

#[test]
fn a_missing_field_is_named() {
    assert_eq!(fields(r"{}")[0].0, "name");
    assert_eq!(fields(r#"{"name":"a","inner":[{}]}"#)[0].0, "inner[0].kind");
}

#[test]
fn a_field_of_the_wrong_type_is_named() {
    assert_eq!(fields(r#"{"name":"a","port":"x"}"#)[0].0, "port");
    assert_eq!(fields(r#"{"name":"a","port":70000}"#)[0].0, "port");
}

#[tokio::test]
async fn numbers_and_times_are_explained_in_words() {
    #[derive(Debug, Deserialize)]
    struct Range {
        #[expect(dead_code, reason = "only what is wrong with it matters")]
        from: Option<backstay_engine::model::Time>,
        #[expect(dead_code, reason = "as above")]
        limit: Option<u32>,
    }
    for (query, field, words) in [
        ("from=2026-11-22", "from", "must be a time"),
        ("from=yesterday", "from", "must be a time"),
        ("limit=many", "limit", "must be a whole number"),
    ] {
        let request = Request::builder().uri(format!("/x?{query}"));
        let (mut parts, ()) = request.body(()).unwrap().into_parts();
        let refused = Query::<Range>::from_request_parts(&mut parts, &()).await;
        let named = problem_fields(&refused.unwrap_err());
        assert_eq!(named[0].0, field);
        assert!(named[0].1.starts_with(words), "{named:?}");
    }
}

#[test]
fn a_right_body_is_read() {
    let outer: Outer = decode(serde_json::json!({"name": "a", "inner": [{"kind": "x"}]})).unwrap();
    assert_eq!(outer.inner.len(), 1);
}

#[test]
fn a_list_is_no_object() {
    let named = fields(r#"{"name":"a","inner":[["x"]]}"#);
    assert_eq!(named[0].0, "inner[0]");
    assert!(named[0].1.contains("expected an object"), "{named:?}");
}
