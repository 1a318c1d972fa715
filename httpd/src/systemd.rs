//! What a service manager hands over and is told. Without one, nothing here does anything.

use std::os::linux::net::SocketAddrExt as _;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::net::{SocketAddr, UnixDatagram};

use backstay_engine::{Code, Error, Result};
use listenfd::ListenFd;
use tokio::net::{TcpListener, UnixListener};

/// Sockets that were open before this process began (sd_listen_fds(3)).
#[derive(Debug, Default)]
pub(crate) struct Inherited {
    pub(crate) unix: Vec<UnixListener>,
    pub(crate) tcp: Vec<TcpListener>,
}

/// Takes the sockets that the service manager opened for this process.
pub(crate) fn inherited() -> Result<Inherited> {
    let mut all = ListenFd::from_env();
    let mut taken = Inherited::default();
    for number in 0..all.len() {
        let unusable = |error: std::io::Error| {
            Error::new(
                Code::ConfigInvalid,
                format!(
                    "Socket {} handed over by the service manager is no stream socket that listens",
                    number + 1
                ),
            )
            .hint("Use ListenStream= in the socket unit")
            .because(error)
        };
        if let Ok(Some(listener)) = all.take_unix_listener(number) {
            listener.set_nonblocking(true).map_err(unusable)?;
            let listener = UnixListener::from_std(listener).map_err(unusable)?;
            taken.unix.push(listener);
        } else if let Some(listener) = all.take_tcp_listener(number).map_err(unusable)? {
            listener.set_nonblocking(true).map_err(unusable)?;
            let listener = TcpListener::from_std(listener).map_err(unusable)?;
            taken.tcp.push(listener);
        }
    }
    Ok(taken)
}

/// Tells the service manager, if there is one, `READY=1` or `STOPPING=1` (sd_notify(3)).
pub(crate) fn notify(state: &str) {
    let Some(name) = std::env::var_os("NOTIFY_SOCKET").filter(|name| !name.is_empty()) else {
        return;
    };
    let address = match name.as_bytes().strip_prefix(b"@") {
        Some(abstract_name) => SocketAddr::from_abstract_name(abstract_name),
        None => SocketAddr::from_pathname(&name),
    };
    let told = address
        .and_then(|address| UnixDatagram::unbound()?.send_to_addr(state.as_bytes(), &address));
    if let Err(error) = told {
        tracing::warn!("Could not tell the service manager {state}: {error}");
    }
}
