//! What handlers answer with. Each type writes the answer and describes it in the API's document, so that
//! the two cannot differ.

use std::collections::BTreeMap;

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use backstay_engine::model::{Health, RestorePlan, Started, Stored};
use bytes::Bytes;
use serde::Serialize;
use utoipa::openapi::extensions::ExtensionsBuilder;
use utoipa::openapi::header::Header;
use utoipa::openapi::schema::{Object, Type};
use utoipa::openapi::{
    Content, KnownFormat, Ref, RefOr, Response as Described, Schema, SchemaFormat,
};
use utoipa::{IntoResponses, ToSchema};

use crate::idempotency::ShownOnce;
use crate::problem::Problem;

/// Where a described answer keeps the schemas it refers to until the document is put together.
pub(crate) const SCHEMAS: &str = "x-schemas";

type Answers = BTreeMap<String, RefOr<Described>>;

/// A description of one answer.
struct Description(Described);

impl Description {
    fn new(text: &str) -> Self {
        Self(Described::new(text))
    }

    /// With a document of that type.
    fn json<T: ToSchema>(mut self) -> Self {
        let name = T::name();
        let mut schemas = vec![(name.to_string(), T::schema())];
        T::schemas(&mut schemas);
        let schemas: BTreeMap<_, _> = schemas.into_iter().collect();
        let schemas = serde_json::to_value(schemas).unwrap_or_default();
        let extensions = ExtensionsBuilder::new().add(SCHEMAS, schemas).build();
        self.0.extensions = Some(extensions);
        self.content("application/json", Ref::from_schema_name(name))
    }

    fn content(mut self, media: &str, schema: impl Into<RefOr<Schema>>) -> Self {
        let content = Content::new(Some(schema));
        self.0.content.insert(media.to_owned(), content.into());
        self
    }

    fn text(self, media: &str) -> Self {
        self.content(media, Object::with_type(Type::String))
    }

    fn binary(self, media: &str) -> Self {
        let format = SchemaFormat::KnownFormat(KnownFormat::Binary);
        let bytes = Object::builder().schema_type(Type::String);
        self.content(media, bytes.format(Some(format)))
    }

    fn header(mut self, name: &str, text: &str) -> Self {
        let mut header = Header::new(Object::with_type(Type::String));
        header.description = Some(text.to_owned());
        self.0.headers.insert(name.to_owned(), header.into());
        self
    }

    fn at(self, status: StatusCode) -> Answers {
        BTreeMap::from([(status.as_str().to_owned(), self.0.into())])
    }
}

/// Refusals are the same for all: the document's rules add them.
impl IntoResponses for Problem {
    fn responses() -> Answers {
        BTreeMap::new()
    }
}

/// 200 and a document.
#[derive(Debug)]
pub(crate) struct Reply<T>(pub(crate) T);

impl<T: Serialize> IntoResponse for Reply<T> {
    fn into_response(self) -> Response {
        axum::Json(self.0).into_response()
    }
}

impl<T: ToSchema> IntoResponses for Reply<T> {
    fn responses() -> Answers {
        Description::new("Done").json::<T>().at(StatusCode::OK)
    }
}

/// 200 and a document that is JSON already.
#[derive(Debug)]
pub(crate) struct Passed<T>(pub(crate) Stored<T>);

impl<T> IntoResponse for Passed<T> {
    fn into_response(self) -> Response {
        let json = HeaderValue::from_static("application/json");
        ([(header::CONTENT_TYPE, json)], self.0.into_json()).into_response()
    }
}

impl<T: ToSchema> IntoResponses for Passed<T> {
    fn responses() -> Answers {
        Reply::<T>::responses()
    }
}

/// 204: done, and nothing to say.
#[derive(Debug)]
pub(crate) struct NoContent;

impl IntoResponse for NoContent {
    fn into_response(self) -> Response {
        StatusCode::NO_CONTENT.into_response()
    }
}

impl IntoResponses for NoContent {
    fn responses() -> Answers {
        Description::new("Done").at(StatusCode::NO_CONTENT)
    }
}

/// 201: the record that was made, and where it is.
#[derive(Debug)]
pub(crate) struct Created<T>(pub(crate) T, pub(crate) String);

impl<T: Serialize> IntoResponse for Created<T> {
    fn into_response(self) -> Response {
        let answer = (StatusCode::CREATED, axum::Json(self.0));
        with_header(answer, header::LOCATION, &self.1)
    }
}

impl<T: ToSchema> IntoResponses for Created<T> {
    fn responses() -> Answers {
        Description::new("Made")
            .json::<T>()
            .header("Location", "Where it is")
            .at(StatusCode::CREATED)
    }
}

/// 201: something that was made elsewhere and has no address here.
#[derive(Debug)]
pub(crate) struct Made<T>(pub(crate) T);

impl<T: Serialize> IntoResponse for Made<T> {
    fn into_response(self) -> Response {
        (StatusCode::CREATED, axum::Json(self.0)).into_response()
    }
}

impl<T: ToSchema> IntoResponses for Made<T> {
    fn responses() -> Answers {
        Description::new("Made").json::<T>().at(StatusCode::CREATED)
    }
}

/// 202: long work that was started.
#[derive(Debug)]
pub(crate) struct Accepted(pub(crate) Started);

impl IntoResponse for Accepted {
    fn into_response(self) -> Response {
        let location = format!("/api/v1/runs/{}", self.0.run_id);
        let answer = (StatusCode::ACCEPTED, axum::Json(self.0));
        with_header(answer, header::LOCATION, &location)
    }
}

impl IntoResponses for Accepted {
    fn responses() -> Answers {
        Description::new("Started; the run tells how it goes")
            .json::<Started>()
            .header("Location", "The run")
            .at(StatusCode::ACCEPTED)
    }
}

/// 202: begun, with nothing to follow.
#[derive(Debug)]
pub(crate) struct Begun;

impl IntoResponse for Begun {
    fn into_response(self) -> Response {
        StatusCode::ACCEPTED.into_response()
    }
}

impl IntoResponses for Begun {
    fn responses() -> Answers {
        Description::new("Begun").at(StatusCode::ACCEPTED)
    }
}

/// What a restore would do, or that it was started.
#[derive(Debug)]
pub(crate) enum Restoring {
    Planned(Box<RestorePlan>),
    Started(Started),
}

impl IntoResponse for Restoring {
    fn into_response(self) -> Response {
        match self {
            Self::Planned(plan) => axum::Json(plan).into_response(),
            Self::Started(started) => Accepted(started).into_response(),
        }
    }
}

impl IntoResponses for Restoring {
    fn responses() -> Answers {
        let mut answers = Description::new("What it would do, asked for with `dry_run`")
            .json::<RestorePlan>()
            .at(StatusCode::OK);
        answers.extend(Accepted::responses());
        answers
    }
}

/// 200, or 503 when the engine cannot do its work.
#[derive(Debug)]
pub(crate) struct HealthReply(pub(crate) Health);

impl IntoResponse for HealthReply {
    fn into_response(self) -> Response {
        let status = if self.0.status == "unhealthy" {
            StatusCode::SERVICE_UNAVAILABLE
        } else {
            StatusCode::OK
        };
        (status, axum::Json(self.0)).into_response()
    }
}

impl IntoResponses for HealthReply {
    fn responses() -> Answers {
        let ill = Description::new("Cannot do its work").json::<Health>();
        let mut answers = Reply::<Health>::responses();
        answers.extend(ill.at(StatusCode::SERVICE_UNAVAILABLE));
        answers
    }
}

/// An answer that holds what is shown once: it is not remembered for an `Idempotency-Key`.
#[derive(Debug)]
pub(crate) struct Once<T>(pub(crate) T);

impl<T: IntoResponse> IntoResponse for Once<T> {
    fn into_response(self) -> Response {
        let mut response = self.0.into_response();
        response.extensions_mut().insert(ShownOnce);
        response
    }
}

impl<T: IntoResponses> IntoResponses for Once<T> {
    fn responses() -> Answers {
        T::responses()
    }
}

/// An answer that sets the login's cookie, or takes it away.
#[derive(Debug)]
pub(crate) struct WithCookie<T>(pub(crate) T, pub(crate) String);

impl<T: IntoResponse> IntoResponse for WithCookie<T> {
    fn into_response(self) -> Response {
        let mut response = with_header(self.0, header::SET_COOKIE, &self.1);
        // Tokens do not belong into anybody's cache.
        let headers = response.headers_mut();
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
        response
    }
}

impl<T: IntoResponses> IntoResponses for WithCookie<T> {
    fn responses() -> Answers {
        let mut answers = T::responses();
        for answer in answers.values_mut() {
            if let RefOr::T(answer) = answer {
                let described = Description(std::mem::take(answer));
                *answer = described.header("Set-Cookie", "The cookie `session`").0;
            }
        }
        answers
    }
}

/// A recovery kit.
#[derive(Debug)]
pub(crate) struct Zip(pub(crate) Response);

impl IntoResponse for Zip {
    fn into_response(self) -> Response {
        self.0
    }
}

impl IntoResponses for Zip {
    fn responses() -> Answers {
        Description::new("The ZIP")
            .binary("application/zip")
            .header("Content-Disposition", "A name for the file")
            .at(StatusCode::OK)
    }
}

/// A backup as a plain file.
#[derive(Debug)]
pub(crate) struct Exported(pub(crate) Response);

impl IntoResponse for Exported {
    fn into_response(self) -> Response {
        self.0
    }
}

impl IntoResponses for Exported {
    fn responses() -> Answers {
        let file = |text: &str| {
            Description::new(text)
                .text("application/sql")
                .binary("application/x-tar")
                .binary("application/gzip")
                .header("Content-Disposition", "A name for the file")
                .header("ETag", "Files with the same tag have the same bytes")
        };
        let mut answers = file("The file, as it is made").at(StatusCode::OK);
        let part = file("The part that `Range` asked for, where `If-Range` names this file")
            .header("Content-Range", "Where the part lies");
        answers.extend(part.at(StatusCode::PARTIAL_CONTENT));
        let behind = Description::new("The range lies behind the end")
            .header("Content-Range", "How long the file is");
        answers.extend(behind.at(StatusCode::RANGE_NOT_SATISFIABLE));
        answers
    }
}

/// The API's document.
#[derive(Debug)]
pub(crate) struct Document(pub(crate) Bytes);

impl IntoResponse for Document {
    fn into_response(self) -> Response {
        with_header(self.0, header::CONTENT_TYPE, "application/json")
    }
}

impl IntoResponses for Document {
    fn responses() -> Answers {
        Description::new("OpenAPI 3.1")
            .content("application/json", Object::with_type(Type::Object))
            .at(StatusCode::OK)
    }
}

/// Figures for Prometheus.
#[derive(Debug)]
pub(crate) struct Figured(pub(crate) String);

impl IntoResponse for Figured {
    fn into_response(self) -> Response {
        let media = "text/plain; version=0.0.4; charset=utf-8";
        with_header(self.0, header::CONTENT_TYPE, media)
    }
}

impl IntoResponses for Figured {
    fn responses() -> Answers {
        Description::new("The figures")
            .text("text/plain")
            .at(StatusCode::OK)
    }
}

/// A stream of server-sent events.
#[derive(Debug)]
pub(crate) struct EventStream(pub(crate) Response);

impl IntoResponse for EventStream {
    fn into_response(self) -> Response {
        self.0
    }
}

impl IntoResponses for EventStream {
    fn responses() -> Answers {
        Description::new("Server-sent events, each with a JSON document as its data")
            .text("text/event-stream")
            .at(StatusCode::OK)
    }
}

fn with_header(answer: impl IntoResponse, name: header::HeaderName, value: &str) -> Response {
    let mut response = answer.into_response();
    if let Ok(value) = HeaderValue::from_str(value) {
        response.headers_mut().insert(name, value);
    }
    response
}
