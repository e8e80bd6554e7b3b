//! Internal and reserved addresses, which the server must not call on behalf of a user.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::{Ipv4Net, Ipv6Net};
use url::{Host, Url};

/// IPv4 ranges that are not global unicast (RFC 6890 and the IANA registry).
const RESERVED_V4: [(Ipv4Addr, u8); 15] = [
    (Ipv4Addr::new(0, 0, 0, 0), 8),       // this network
    (Ipv4Addr::new(10, 0, 0, 0), 8),      // private
    (Ipv4Addr::new(100, 64, 0, 0), 10), // carrier-grade NAT; some clouds run internal services there
    (Ipv4Addr::new(127, 0, 0, 0), 8),   // this machine
    (Ipv4Addr::new(169, 254, 0, 0), 16), // link-local; cloud metadata services
    (Ipv4Addr::new(172, 16, 0, 0), 12), // private
    (Ipv4Addr::new(192, 0, 0, 0), 24),  // protocol assignments
    (Ipv4Addr::new(192, 0, 2, 0), 24),  // documentation
    (Ipv4Addr::new(192, 88, 99, 0), 24), // 6to4 relays
    (Ipv4Addr::new(192, 168, 0, 0), 16), // private
    (Ipv4Addr::new(198, 18, 0, 0), 15), // benchmarks
    (Ipv4Addr::new(198, 51, 100, 0), 24), // documentation
    (Ipv4Addr::new(203, 0, 113, 0), 24), // documentation
    (Ipv4Addr::new(224, 0, 0, 0), 4),   // multicast
    (Ipv4Addr::new(240, 0, 0, 0), 4),   // reserved, and broadcast
];

const PUBLIC_V6: (Ipv6Addr, u8) = (Ipv6Addr::new(0x2000, 0, 0, 0, 0, 0, 0, 0), 3);

const RESERVED_V6: [(Ipv6Addr, u8); 3] = [
    (Ipv6Addr::new(0x2001, 0, 0, 0, 0, 0, 0, 0), 23), // protocol assignments: Teredo, benchmarks, ORCHID
    (Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 0), 32), // documentation
    (Ipv6Addr::new(0x3fff, 0, 0, 0, 0, 0, 0, 0), 20), // documentation
];

/// NAT64: the last four bytes are an IPv4 address.
const TRANSLATED: (Ipv6Addr, u8) = (Ipv6Addr::new(0x64, 0xff9b, 0, 0, 0, 0, 0, 0), 96);
/// 6to4: bytes three to six are an IPv4 address.
const TUNNELED: (Ipv6Addr, u8) = (Ipv6Addr::new(0x2002, 0, 0, 0, 0, 0, 0, 0), 16);

/// Suffixes of names that only resolve inside a network.
const INTERNAL_NAMES: [&str; 6] = [
    "localhost",
    "localdomain",
    "local",
    "internal",
    "home.arpa",
    "lan",
];

/// Whether the URL's host is visibly internal. A public name may still resolve to an internal address: check that with
/// `is_internal_address` after resolving it.
pub fn is_internal(url: &Url) -> bool {
    match url.host() {
        Some(Host::Ipv4(address)) => is_internal_address(address.into()),
        Some(Host::Ipv6(address)) => is_internal_address(address.into()),
        Some(Host::Domain(name)) => is_internal_name(name),
        None => true,
    }
}

fn is_internal_name(name: &str) -> bool {
    let name = name.trim_end_matches('.').to_ascii_lowercase();
    let is_under = |ending: &&str| {
        name.strip_suffix(*ending)
            .is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
    };
    // A name without a dot is completed by the resolver's search domain.
    !name.contains('.') || INTERNAL_NAMES.iter().any(is_under)
}

pub fn is_internal_address(address: IpAddr) -> bool {
    match address.to_canonical() {
        IpAddr::V4(address) => RESERVED_V4.iter().any(|net| holds_v4(*net, address)),
        IpAddr::V6(address) => {
            let [.., a, b, c, d] = address.octets();
            let [_, _, e, f, g, h, ..] = address.octets();
            if holds_v6(TRANSLATED, address) {
                return is_internal_address([a, b, c, d].into());
            }
            if holds_v6(TUNNELED, address) {
                return is_internal_address([e, f, g, h].into());
            }
            !holds_v6(PUBLIC_V6, address) || RESERVED_V6.iter().any(|net| holds_v6(*net, address))
        }
    }
}

fn holds_v4((prefix, length): (Ipv4Addr, u8), address: Ipv4Addr) -> bool {
    Ipv4Net::new(prefix, length).is_ok_and(|net| net.contains(&address))
}

fn holds_v6((prefix, length): (Ipv6Addr, u8), address: Ipv6Addr) -> bool {
    Ipv6Net::new(prefix, length).is_ok_and(|net| net.contains(&address))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reserved_addresses_are_internal_in_every_notation() {
        for inside in [
            "http://127.0.0.1:9/x",
            "http://2130706433/",
            "http://0x7f.1/",
            "http://0177.0.0.1/",
            "http://127.1/",
            "http://0/",
            "https://10.0.0.7/",
            "https://172.31.255.255/",
            "https://192.168.1.1",
            "https://169.254.169.254/latest/meta-data",
            "https://100.100.100.200/latest/meta-data",
            "https://0.0.0.1/",
            "https://192.0.0.8/",
            "https://192.0.2.1/",
            "https://192.88.99.1/",
            "https://198.19.255.255/",
            "https://198.51.100.7/",
            "https://203.0.113.7/",
            "https://224.0.0.1/",
            "https://239.255.255.255/",
            "https://240.0.0.1/",
            "https://255.255.255.255/",
            "https://[::]/",
            "https://[::1]/",
            "https://[::7f00:1]/",
            "https://[::ffff:10.0.0.1]/",
            "https://[::ffff:0:7f00:1]/",
            "https://[64:ff9b::10.0.0.1]/",
            "https://[64:ff9b::a9fe:a9fe]/",
            "https://[64:ff9b:1::808:808]/",
            "https://[100::1]/",
            "https://[2001::1]/",
            "https://[2001:2::1]/",
            "https://[2001:10::1]/",
            "https://[2001:db8::1]/",
            "https://[2002:a00:1::1]/",
            "https://[2002:7f00:1::]/",
            "https://[3fff::1]/",
            "https://[4000::1]/",
            "https://[fc00::1]/",
            "https://[fd00::1]/",
            "https://[fe80::1]/",
            "https://[febf::1]/",
            "https://[fec0::1]/",
            "https://[ff02::1]/",
            "https://localhost/",
            "https://LOCALHOST./",
            "https://api.localhost./",
            "https://db/",
            "https://db./",
            "https://nas.local/",
            "https://metadata.google.internal/",
            "https://router.lan/",
            "https://localhost.localdomain/",
            "data:text/plain,x",
        ] {
            assert!(is_internal(&inside.parse().expect(inside)), "{inside}");
        }
    }

    #[test]
    fn the_public_internet_is_not() {
        for outside in [
            "https://mms.twiliocdn.com/x",
            "https://fcm.googleapis.com./x",
            "https://mylocalhost.com/",
            "https://notlocal.example/",
            "https://8.8.8.8/",
            "https://100.63.255.255/",
            "https://100.128.0.1/",
            "https://172.15.0.1/",
            "https://172.32.0.1/",
            "https://192.0.1.1/",
            "https://198.17.0.1/",
            "https://198.20.0.1/",
            "https://223.255.255.255/",
            "https://[2606:4700::1111]/",
            "https://[2001:4860:4860::8888]/",
            "https://[64:ff9b::808:808]/",
            "https://[2002:808:808::1]/",
            "https://[::ffff:8.8.8.8]/",
        ] {
            assert!(!is_internal(&outside.parse().expect(outside)), "{outside}");
        }
    }
}
