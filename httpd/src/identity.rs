//! Who is asking: a process of this machine by its user, anybody else by an API key or a login.

use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::{HeaderMap, Method, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use backstay_engine::access::Caller;
use backstay_engine::access::scope::acting_as;
use backstay_engine::model::KeyTier;
use backstay_engine::{Code, Engine, Error};

use crate::native::is_public;
use crate::native::table::{METRICS, Opened};
use crate::problem::Problem;
use crate::quotas::Quotas;

/// The cookie that holds a login's token.
pub(crate) const COOKIE: &str = "session";

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

impl Origin {
    /// The address, where there is one.
    pub(crate) fn address(self) -> Option<IpAddr> {
        match self {
            Self::Socket { .. } => None,
            Self::Network { address, .. } => Some(address),
        }
    }

    /// Whether the connection is encrypted.
    pub(crate) fn is_tls(self) -> bool {
        matches!(self, Self::Network { tls: true, .. })
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Socket { uid } => write!(f, "uid {uid}"),
            Self::Network { address, .. } => address.fmt(f),
        }
    }
}

/// What tells who somebody is.
#[derive(Clone, Debug)]
pub(crate) struct Gate {
    /// The engine's own user, who administers it over the socket, as root does.
    pub(crate) own_uid: u32,
    /// Knows keys and logins.
    pub(crate) engine: Engine,
    /// How often somebody may ask.
    pub(crate) quotas: Quotas,
}

/// Finds out who asks and works in their name. Strangers get no further than what is public.
pub(crate) async fn layer(State(gate): State<Gate>, mut request: Request, next: Next) -> Response {
    let origin = request.extensions().get::<Origin>().copied();
    let known = gate.known(origin, request.method(), request.headers());
    let (known, refusal) = match known.await {
        Ok(Some(known)) => (Some(known), None),
        Ok(None) => (None, Some(stranger(origin))),
        Err(Unknown::Nobody(problem)) => (None, Some(problem)),
        Err(Unknown::Refused(response)) => return response,
    };
    let settings = gate.engine.settings();
    let opened = settings.metrics.open && request.uri().path() == METRICS;
    if opened {
        request.extensions_mut().insert(Opened);
    }
    let (caller, tier) = match known {
        Some((caller, tier)) => (caller, Some(tier)),
        None => (Caller::nobody(origin.and_then(Origin::address)), None),
    };
    let leave = gate
        .quotas
        .ask(&settings.rate_limits, origin, &caller, tier, &request);
    let leave = match leave {
        Ok(leave) => leave,
        Err(too_often) => return too_often.into_response(),
    };
    let public = opened || is_public(request.method(), request.uri().path());
    let mut response = if let Some(problem) = refusal.filter(|_| !public) {
        problem.into_response()
    } else {
        let caller = Arc::new(caller);
        request.extensions_mut().insert(Arc::clone(&caller));
        acting_as(caller, next.run(request)).await
    };
    if let Some(leave) = leave {
        leave.tell(response.headers_mut());
    }
    response
}

/// Why nobody is known.
enum Unknown {
    /// The token does not count, which matters for what is not public only: a browser sends its cookie
    /// along after the login has ended, and has to log in again.
    Nobody(Problem),
    /// That is the answer.
    Refused(Response),
}

impl From<Error> for Unknown {
    fn from(error: Error) -> Self {
        Self::Refused(Problem::from(error).into_response())
    }
}

impl Gate {
    /// Who asks, and how much they may; nothing for somebody without a name, an error for a wrong one.
    async fn known(
        &self,
        origin: Option<Origin>,
        method: &Method,
        headers: &HeaderMap,
    ) -> Result<Option<(Caller, KeyTier)>, Unknown> {
        let address = origin.and_then(Origin::address);
        if let Some(token) = bearer(headers) {
            let known = self.by_token(token, address).await;
            // Guesses count as attempts to log in.
            if let Err(Unknown::Nobody(_)) = &known
                && let Err(refusal) = self
                    .quotas
                    .attempt(&self.engine.settings().rate_limits, address)
            {
                return Err(Unknown::Refused(refusal.into_response()));
            }
            return known.map(Some);
        }
        if let Some(Origin::Socket { uid }) = origin
            && (uid == self.own_uid || uid == 0)
        {
            return Ok(Some((Caller::process(uid), KeyTier::Enterprise)));
        }
        let Some(token) = cookie(headers) else {
            return Ok(None);
        };
        if !method.is_safe() && !is_same_site(headers) {
            let error = Error::new(
                Code::Forbidden,
                "A page of another site may not use this login",
            );
            let error = error.hint("Send the token as Authorization: Bearer");
            return Err(Unknown::Nobody(error.into()));
        }
        self.by_token(token, address).await.map(Some)
    }

    async fn by_token(
        &self,
        token: &str,
        address: Option<IpAddr>,
    ) -> Result<(Caller, KeyTier), Unknown> {
        match self.engine.caller_of_token(token, address).await {
            Err(error) if error.code() == Code::Unauthenticated => {
                Err(Unknown::Nobody(error.into()))
            }
            other => Ok(other?),
        }
    }
}

/// The token of `Authorization: Bearer`.
fn bearer(headers: &HeaderMap) -> Option<&str> {
    let value = headers.get(header::AUTHORIZATION)?.to_str().ok()?;
    let (scheme, token) = value.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
}

/// The token of the session's cookie.
fn cookie(headers: &HeaderMap) -> Option<&str> {
    headers
        .get_all(header::COOKIE)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(';'))
        .filter_map(|pair| pair.trim().split_once('='))
        .find(|(name, token)| *name == COOKIE && !token.is_empty())
        .map(|(_, token)| token)
}

/// Whether a browser says that the request comes from a page of this very place. Programs that send a
/// cookie without being a browser say neither; they are to use a bearer token.
fn is_same_site(headers: &HeaderMap) -> bool {
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    if let Some(site) = text("sec-fetch-site") {
        return site == "same-origin" || site == "none";
    }
    let (Some(origin), Some(host)) = (text("origin"), text("host")) else {
        return false;
    };
    let origin = origin
        .split_once("://")
        .map_or("", |(_, authority)| authority);
    origin.eq_ignore_ascii_case(host)
}

fn stranger(origin: Option<Origin>) -> Problem {
    let error = match origin {
        Some(Origin::Socket { uid }) => Error::new(
            Code::Unauthenticated,
            format!("User {uid} is not known to this engine"),
        )
        .hint("Use an API key, or run the command as the user the engine runs as, or as root"),
        _ => Error::new(
            Code::Unauthenticated,
            "The request names nobody this engine knows",
        )
        .hint("Send an API key or a session's token as Authorization: Bearer"),
    };
    error.into()
}
