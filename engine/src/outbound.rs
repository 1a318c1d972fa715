//! Requests to addresses that people typed in: webhooks, chat services, mail servers.
//!
//! Such an address could lead into the machine's own surroundings. A name is resolved once, every
//! address it has is checked, and the connection goes to one that passed: a second answer of the name
//! server changes nothing. Redirects are not followed; proxies are not used. Time, and what is read of
//! an answer, have bounds.

mod address;
mod http;

pub(crate) use address::{Guard, connect, refuse_literal};
pub(crate) use http::{Call, call, parse_url, tls_config};
