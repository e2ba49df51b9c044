//! From where a request comes, also behind a proxy.
//!
//! Why: credentials are bound to networks, so an address that anybody can write must not count. `X-Forwarded-For` is read
//! from its end, and only as far as those who wrote it are trusted.

use std::net::IpAddr;

use axum::http::HeaderMap;
use ipnet::IpNet;

const FORWARDED: &str = "x-forwarded-for";
/// Proxies in a row that are looked at: a longer chain is nobody's set-up.
const HOPS: usize = 8;

/// The address of the client. `peer` is at the other end of the connection; `trusted` are the proxies. Nothing if a trusted
/// proxy says something that is no address: then no network can be told.
pub(crate) fn client(peer: IpAddr, headers: &HeaderMap, trusted: &[IpNet]) -> Option<IpAddr> {
    let peer = peer.to_canonical();
    let is_trusted = |address: &IpAddr| trusted.iter().any(|net| net.contains(address));
    if !is_trusted(&peer) {
        return Some(peer);
    }
    let lines: Vec<&str> = headers
        .get_all(FORWARDED)
        .iter()
        .map(|value| value.to_str().ok())
        .collect::<Option<_>>()?;
    let mut client = peer;
    let hops = lines.iter().rev().flat_map(|line| line.rsplit(','));
    for hop in hops.take(HOPS) {
        client = hop.trim().parse::<IpAddr>().ok()?.to_canonical();
        if !is_trusted(&client) {
            break;
        }
    }
    Some(client)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ask(peer: &str, lines: &[&str], trusted: &[&str]) -> Option<String> {
        let mut headers = HeaderMap::new();
        for line in lines {
            headers.append(FORWARDED, line.parse().unwrap());
        }
        let trusted: Vec<IpNet> = trusted.iter().map(|net| net.parse().unwrap()).collect();
        client(peer.parse().unwrap(), &headers, &trusted).map(|address| address.to_string())
    }

    #[test]
    fn an_address_that_a_client_wrote_itself_does_not_count() {
        let forged = ask("203.0.113.9", &["10.0.0.1"], &["127.0.0.0/8"]);
        assert_eq!(forged.as_deref(), Some("203.0.113.9"));
        // Behind a proxy the client's own line stands before what the proxy saw.
        let forged = ask("127.0.0.1", &["10.0.0.1", "203.0.113.9"], &["127.0.0.0/8"]);
        assert_eq!(forged.as_deref(), Some("203.0.113.9"));
        let forged = ask("127.0.0.1", &["10.0.0.1, 203.0.113.9"], &["127.0.0.0/8"]);
        assert_eq!(forged.as_deref(), Some("203.0.113.9"));
    }

    #[test]
    fn trusted_proxies_in_a_row_are_passed() {
        let trusted = ["127.0.0.0/8", "192.0.2.0/24"];
        let seen = ask("127.0.0.1", &["198.51.100.7, 192.0.2.1"], &trusted);
        assert_eq!(seen.as_deref(), Some("198.51.100.7"));
        assert_eq!(
            ask("127.0.0.1", &[], &trusted).as_deref(),
            Some("127.0.0.1")
        );
        let mapped = ask("::ffff:127.0.0.1", &["::ffff:198.51.100.7"], &trusted);
        assert_eq!(mapped.as_deref(), Some("198.51.100.7"));
    }

    #[test]
    fn what_is_no_address_leaves_no_network() {
        assert_eq!(ask("127.0.0.1", &["unknown"], &["127.0.0.0/8"]), None);
        assert_eq!(ask("127.0.0.1", &["1.2.3.4:80"], &["127.0.0.0/8"]), None);
    }
}
