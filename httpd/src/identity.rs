//! Who is asking. Over the Unix socket the peer's uid is the identity.

use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use backstay_engine::Code;

use crate::problem::Problem;

/// The process at the other end of a Unix socket; an extension of every request that came over it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Peer {
    /// Its user, as the kernel vouches for.
    pub uid: u32,
}

/// Who counts as administrator.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Gate {
    /// The engine's own user.
    pub(crate) own_uid: u32,
}

impl Gate {
    fn admits(self, peer: Option<Peer>) -> bool {
        peer.is_some_and(|peer| peer.uid == self.own_uid || peer.uid == 0)
    }
}

/// Lets administrators through and everyone else to what is public.
pub(crate) async fn layer(State(gate): State<Gate>, request: Request, next: Next) -> Response {
    let peer = request.extensions().get::<Peer>().copied();
    if gate.admits(peer) || request.uri().path() == "/api/v1/health" {
        return next.run(request).await;
    }
    Problem::new(
        StatusCode::UNAUTHORIZED,
        Code::Unauthenticated.name(),
        match peer {
            Some(peer) => format!("User {} is not known to this engine", peer.uid),
            None => "The request names nobody this engine knows".to_owned(),
        },
    )
    .hint("Run the command as the user the engine runs as, or as root")
    .into_response()
}
