//! The one error type that leaves the engine, and the policy for using it.
//!
//! - Every public operation returns [`Result`]. A subsystem may keep its own enum where its callers
//!   must tell cases apart (storage does); it converts into [`Error`] at its boundary and never
//!   the other way round.
//! - `message` is one sentence without a final period: what happened, to which object. `hint` is one
//!   sentence that says what to do. Neither repeats the source: the chain is walked once, at the
//!   edge, by [`Error::report`].
//! - A [`Code`] is stable: scripts match its name, the command line exits with its number, the API
//!   answers with its status. All of that is one table in [`codes`].

mod codes;

pub use codes::Code;

use std::error::Error as StdError;
use std::fmt;

/// What every fallible operation of the engine returns.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// One field of a request that was refused, for `400` answers.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize, utoipa::ToSchema)]
pub struct FieldError {
    /// Dotted path of the field as the caller wrote it.
    pub field: String,
    /// What is wrong with it.
    pub message: String,
}

/// A failure with a stable code, a sentence for people and, where there is one, a way out.
#[derive(Debug)]
pub struct Error(Box<Inner>);

#[derive(Debug)]
struct Inner {
    code: Code,
    message: String,
    hint: Option<String>,
    fields: Vec<FieldError>,
    source: Option<Box<dyn StdError + Send + Sync>>,
}

impl Error {
    /// A new error; `message` is one sentence, no final period.
    pub fn new(code: Code, message: impl Into<String>) -> Self {
        Self(Box::new(Inner {
            code,
            message: message.into(),
            hint: None,
            fields: Vec::new(),
            source: None,
        }))
    }

    /// Says what the person can do about it.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.0.hint = Some(hint.into());
        self
    }

    /// Keeps the cause; its text is not repeated in `message`.
    #[must_use]
    pub fn because(mut self, source: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        self.0.source = Some(source.into());
        self
    }

    /// Names a request field that is at fault.
    #[must_use]
    pub fn field(mut self, field: impl Into<String>, message: impl Into<String>) -> Self {
        self.0.fields.push(FieldError {
            field: field.into(),
            message: message.into(),
        });
        self
    }

    /// Puts the object that was worked on before the message, keeping code, hint and source.
    #[must_use]
    pub fn context(mut self, what: impl fmt::Display) -> Self {
        self.0.message = format!("{what}: {}", self.0.message);
        self
    }

    /// The stable code.
    pub fn code(&self) -> Code {
        self.0.code
    }

    /// The sentence, without hint and sources.
    pub fn message(&self) -> &str {
        &self.0.message
    }

    /// The way out, if one is known.
    pub fn hint_text(&self) -> Option<&str> {
        self.0.hint.as_deref()
    }

    /// The request fields at fault.
    pub fn fields(&self) -> &[FieldError] {
        &self.0.fields
    }

    /// Message and all sources, joined by `: `, for logs and terminals.
    pub fn report(&self) -> String {
        let mut text = self.0.message.clone();
        let mut next = self.source();
        while let Some(cause) = next {
            let cause_text = cause.to_string();
            if !text.ends_with(&cause_text) {
                text.push_str(": ");
                text.push_str(&cause_text);
            }
            next = cause.source();
        }
        text
    }

    /// The same failure for another who waits for it; its causes become part of the message.
    #[must_use]
    pub fn again(&self) -> Self {
        Self(Box::new(Inner {
            code: self.0.code,
            message: self.report(),
            hint: self.0.hint.clone(),
            fields: self.0.fields.clone(),
            source: None,
        }))
    }

    /// A defect of Backstay itself: an invariant that did not hold.
    pub fn internal(message: impl Into<String>) -> Self {
        Self::new(Code::Internal, message)
    }

    /// The caller asked for something malformed or contradictory.
    pub fn invalid(message: impl Into<String>) -> Self {
        Self::new(Code::Invalid, message)
    }

    /// The run was cancelled.
    pub fn cancelled() -> Self {
        Self::new(Code::Cancelled, "The run was cancelled")
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.message)
    }
}

impl StdError for Error {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.0
            .source
            .as_deref()
            .map(|s| s as &(dyn StdError + 'static))
    }
}
