//! Which addresses may be reached, and getting there.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use tokio::net::TcpStream;
use url::Host;

use crate::error::{Code, Error, Result};

/// How long one address may take to answer; a name may have several.
const CONNECT: Duration = Duration::from_secs(10);
/// Addresses of one name that are tried.
const TRIED: usize = 4;

/// What may be reached.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Guard {
    /// Whether link-local addresses, where clouds serve a machine's credentials, are fine.
    pub(crate) link_local: bool,
}

impl Guard {
    fn permits(self, ip: IpAddr) -> bool {
        self.link_local || !is_link_local(ip)
    }
}

/// Metadata services that live outside the link-local ranges: Alibaba, Azure, Oracle.
const METADATA_V4: [Ipv4Addr; 3] = [
    Ipv4Addr::new(100, 100, 100, 200),
    Ipv4Addr::new(168, 63, 129, 16),
    Ipv4Addr::new(192, 0, 0, 192),
];
/// The same for IPv6: Google. Amazon has fd00:ec2::/32, where instances and pods ask for credentials.
const METADATA_V6: Ipv6Addr = Ipv6Addr::new(0xfd20, 0x00ce, 0, 0, 0, 0, 0, 0x254);
const AMAZON: (u16, u16) = (0xfd00, 0x0ec2);

/// Whether an address is link-local or a metadata service, in any of the ways IPv6 writes IPv4.
fn is_link_local(ip: IpAddr) -> bool {
    match ip {
        IpAddr::V4(v4) => v4.is_link_local() || METADATA_V4.contains(&v4),
        IpAddr::V6(v6) => {
            v6.is_unicast_link_local()
                || v6 == METADATA_V6
                || (v6.segments()[0], v6.segments()[1]) == AMAZON
                || embedded(v6).into_iter().any(|v4| is_link_local(v4.into()))
        }
    }
}

/// The IPv4 address that an IPv6 one stands for: mapped and compatible (RFC 4291), NAT64 (RFC 6052), 6to4
/// (RFC 3056). Local NAT64 (RFC 8215) puts it behind a prefix of 48, 56, 64 or 96 bits: any may be meant.
fn embedded(v6: Ipv6Addr) -> Vec<Ipv4Addr> {
    let parts = v6.segments();
    let from = |high: u16, low: u16| Ipv4Addr::from((u32::from(high) << 16) | u32::from(low));
    match parts {
        [0, 0, 0, 0, 0, 0 | 0xffff, high, low] | [0x64, 0xff9b, 0, 0, 0, 0, high, low] => {
            vec![from(high, low)]
        }
        [0x64, 0xff9b, 1, ..] => {
            let all = v6.octets();
            let at = |places: [usize; 4]| Ipv4Addr::from(places.map(|place| all[place]));
            vec![
                at([6, 7, 9, 10]),
                at([7, 9, 10, 11]),
                at([9, 10, 11, 12]),
                at([12, 13, 14, 15]),
            ]
        }
        [0x2002, high, low, ..] => vec![from(high, low)],
        _ => Vec::new(),
    }
}

/// Refuses a host that is written as an address nothing may reach.
pub(crate) fn refuse_literal(guard: Guard, host: &Host<String>) -> Result<()> {
    let ip = match host {
        Host::Ipv4(v4) => IpAddr::V4(*v4),
        Host::Ipv6(v6) => IpAddr::V6(*v6),
        Host::Domain(_) => return Ok(()),
    };
    if guard.permits(ip) {
        return Ok(());
    }
    Err(refused(host))
}

fn refused(host: &Host<String>) -> Error {
    Error::new(
        Code::OutboundRefused,
        format!("{host} is a link-local or metadata address, which notifications may not reach"),
    )
    .hint("Use another address, or allow them with `backstay settings set outbound.allow_metadata_addresses true`")
}

/// Connects to a host, at an address that was checked.
pub(crate) async fn connect(guard: Guard, host: &Host<String>, port: u16) -> Result<TcpStream> {
    let found: Vec<SocketAddr> = match host {
        Host::Ipv4(v4) => vec![(*v4, port).into()],
        Host::Ipv6(v6) => vec![(*v6, port).into()],
        Host::Domain(name) => tokio::net::lookup_host((name.as_str(), port))
            .await
            .map_err(|error| {
                Error::new(
                    Code::OutboundFailed,
                    format!("The name {name} has no address"),
                )
                .hint("Check the spelling, and the name servers of the engine's machine")
                .because(error)
            })?
            .collect(),
    };
    let allowed = permitted(guard, host, found)?;
    let mut last = None;
    for address in allowed.into_iter().take(TRIED) {
        match tokio::time::timeout(CONNECT, TcpStream::connect(address)).await {
            Ok(Ok(stream)) => return Ok(stream),
            Ok(Err(error)) => last = Some((address, error)),
            Err(_) => last = Some((address, std::io::ErrorKind::TimedOut.into())),
        }
    }
    let failed = |place: String| {
        Error::new(
            Code::OutboundFailed,
            format!("Nothing could be reached at {place}"),
        )
        .hint("Check address and port, and whether the other side runs")
    };
    Err(match last {
        Some((address, error)) => failed(address.to_string()).because(error),
        None => failed(format!("{host}:{port}")),
    })
}

/// Those of a name's addresses that may be reached; an error when that is none of them.
fn permitted(guard: Guard, host: &Host<String>, found: Vec<SocketAddr>) -> Result<Vec<SocketAddr>> {
    let some = !found.is_empty();
    let allowed: Vec<_> = found
        .into_iter()
        .filter(|address| guard.permits(address.ip()))
        .collect();
    if some && allowed.is_empty() {
        return Err(refused(host));
    }
    Ok(allowed)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(text: &str) -> SocketAddr {
        SocketAddr::new(text.parse().unwrap(), 80)
    }

    #[test]
    fn link_local_addresses_are_known_in_every_spelling() {
        for bad in [
            "169.254.169.254",
            "169.254.0.1",
            "100.100.100.200",
            "fe80::1",
            "febf::1",
            "fd00:ec2::254",
            "fd00:ec2::23",
            "64:ff9b:1::169.254.169.254",
            "64:ff9b:1:a9fe:a9:fe00::",
            "64:ff9b:1:a9:fe:a9fe::",
            "64:ff9b:1:0:a9:fea9:fe00:0",
            "::ffff:169.254.169.254",
            "::169.254.169.254",
            "64:ff9b::169.254.169.254",
            "2002:a9fe:a9fe::1",
        ] {
            assert!(is_link_local(bad.parse().unwrap()), "{bad}");
        }
        for good in [
            "127.0.0.1",
            "10.0.0.1",
            "169.253.0.1",
            "8.8.8.8",
            "::1",
            "fd00::1",
            "64:ff9b:1::10.0.0.1",
            "2001:db8::1",
        ] {
            assert!(!is_link_local(good.parse().unwrap()), "{good}");
        }
    }

    #[test]
    fn a_name_leads_only_to_addresses_that_may_be_reached() {
        let host = Host::Domain("inside.example".to_owned());
        let (bad, good) = (address("169.254.169.254"), address("10.1.1.1"));
        let guard = Guard::default();
        let kept = permitted(guard, &host, vec![bad, good]).unwrap();
        assert_eq!(kept, [good]);
        let refused = permitted(guard, &host, vec![bad]).unwrap_err();
        assert_eq!(refused.code(), Code::OutboundRefused);
        let open = Guard { link_local: true };
        assert_eq!(permitted(open, &host, vec![bad]).unwrap(), [bad]);
    }

    #[test]
    fn numbers_that_stand_for_addresses_are_addresses() {
        // The same address in decimal, hexadecimal and octal.
        for text in ["2852039166", "0xa9fea9fe", "0251.0376.0251.0376"] {
            let url = url::Url::parse(&format!("http://{text}/")).unwrap();
            let host = url.host().unwrap().to_owned();
            assert!(refuse_literal(Guard::default(), &host).is_err(), "{text}");
        }
    }
}
