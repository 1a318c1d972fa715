//! Who is asking. Over the Unix socket the peer's uid is the identity.

use std::fmt;
use std::net::IpAddr;

use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use backstay_engine::Code;

use crate::problem::Problem;

/// Where a request came from; an extension of every request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Origin {
    /// A process at the other end of a Unix socket.
    Socket {
        /// Its user, as the kernel vouches for.
        uid: u32,
    },
    /// A client of a TCP listener.
    Network {
        /// The address it connected from.
        address: IpAddr,
        /// Whether the connection is encrypted.
        tls: bool,
    },
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Socket { uid } => write!(f, "uid {uid}"),
            Self::Network { address, .. } => address.fmt(f),
        }
    }
}

/// Who counts as administrator.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Gate {
    /// The engine's own user.
    pub(crate) own_uid: u32,
}

impl Gate {
    fn admits(self, origin: Option<Origin>) -> bool {
        matches!(origin, Some(Origin::Socket { uid }) if uid == self.own_uid || uid == 0)
    }
}

/// Lets administrators through and everyone else to what is public.
pub(crate) async fn layer(State(gate): State<Gate>, request: Request, next: Next) -> Response {
    let origin = request.extensions().get::<Origin>().copied();
    if gate.admits(origin) || request.uri().path() == "/api/v1/health" {
        return next.run(request).await;
    }
    let (detail, hint) = match origin {
        Some(Origin::Socket { uid }) => (
            format!("User {uid} is not known to this engine"),
            "Run the command as the user the engine runs as, or as root",
        ),
        Some(Origin::Network { .. }) | None => (
            "The request names nobody this engine knows".to_owned(),
            "Use the engine's Unix socket",
        ),
    };
    Problem::new(
        StatusCode::UNAUTHORIZED,
        Code::Unauthenticated.name(),
        detail,
    )
    .hint(hint)
    .into_response()
}
