//! Where webhooks may go. Merchants name the addresses, and a name can resolve to anything at any time; so what counts is the
//! numeric address that a connection is about to be made to, and only those of the public internet pass. Everything else,
//! loopback, private networks, link-local addresses with clouds' metadata services, carriers' NAT, multicast, and each way of
//! writing an IPv4 address inside an IPv6 one, is refused.
//!
//! Sources: IANA's special-purpose address registries for IPv4 and IPv6 (RFC 6890 and its updates).

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use url::{Host, Url};

/// What else than the public internet may be reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reach {
    /// Nothing else.
    Public,
    /// The machine itself, over plain http too: for development.
    Loopback,
}

/// Ports that https endpoints may be on. A merchant has no other business with ours to connect to.
const PORTS: [u16; 4] = [443, 4443, 8443, 9443];

impl Reach {
    /// May a connection be made to this address?
    pub fn permits(self, address: IpAddr) -> bool {
        let own = match address {
            IpAddr::V4(v4) => v4 == Ipv4Addr::LOCALHOST,
            IpAddr::V6(v6) => v6 == Ipv6Addr::LOCALHOST,
        };
        is_public(address) || (self == Self::Loopback && own)
    }

    /// An endpoint's address as it is written; where a name leads is seen when it is connected to. The answer says what is
    /// wrong with it.
    ///
    /// # Errors
    /// What the address must be.
    pub fn check(self, url: &Url) -> Result<(), &'static str> {
        if !url.username().is_empty() || url.password().is_some() {
            return Err("an address without a name and password in it");
        }
        let host = url.host().ok_or("an https address such as https://shop.example/webhooks")?;
        let literal = match host {
            Host::Domain(_) => None,
            Host::Ipv4(v4) => Some(IpAddr::V4(v4)),
            Host::Ipv6(v6) => Some(IpAddr::V6(v6)),
        };
        let named_own = matches!(host, Host::Domain("localhost" | "localhost."));
        let own = named_own || literal.is_some_and(|address| address.is_loopback());
        if own && self == Self::Loopback && literal.is_none_or(|address| self.permits(address)) {
            return Ok(());
        }
        if url.scheme() != "https" {
            return Err("an https address");
        }
        if literal.is_some_and(|address| !self.permits(address)) || named_own {
            return Err("an address on the public internet");
        }
        let port = url.port_or_known_default().is_some_and(|port| PORTS.contains(&port));
        if port { Ok(()) } else { Err("an https address on port 443, 4443, 8443 or 9443") }
    }
}

/// Whether it is an address of the public internet.
pub fn is_public(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(v4) => is_public_v4(v4),
        IpAddr::V6(v6) => is_public_v6(v6),
    }
}

/// Network and prefix length: everything in IPv4 that is not the public internet's.
const SPECIAL_V4: [(Ipv4Addr, u32); 16] = [
    (Ipv4Addr::new(0, 0, 0, 0), 8),
    (Ipv4Addr::new(10, 0, 0, 0), 8),
    (Ipv4Addr::new(100, 64, 0, 0), 10),
    (Ipv4Addr::new(127, 0, 0, 0), 8),
    (Ipv4Addr::new(169, 254, 0, 0), 16),
    (Ipv4Addr::new(172, 16, 0, 0), 12),
    (Ipv4Addr::new(192, 0, 0, 0), 24),
    (Ipv4Addr::new(192, 0, 2, 0), 24),
    (Ipv4Addr::new(192, 31, 196, 0), 24),
    (Ipv4Addr::new(192, 52, 193, 0), 24),
    (Ipv4Addr::new(192, 88, 99, 0), 24),
    (Ipv4Addr::new(192, 168, 0, 0), 16),
    (Ipv4Addr::new(198, 18, 0, 0), 15),
    (Ipv4Addr::new(198, 51, 100, 0), 24),
    (Ipv4Addr::new(203, 0, 113, 0), 24),
    // Multicast and reserved, up to and with broadcast.
    (Ipv4Addr::new(224, 0, 0, 0), 3),
];

fn is_public_v4(address: Ipv4Addr) -> bool {
    // Azure's metadata and DHCP service stands in the midst of public addresses.
    const AZURE: Ipv4Addr = Ipv4Addr::new(168, 63, 129, 16);
    let within = |(network, len): &(Ipv4Addr, u32)| {
        let mask = u32::MAX.checked_shl(32 - len).unwrap_or(0);
        address.to_bits() & mask == network.to_bits()
    };
    address != AZURE && !SPECIAL_V4.iter().any(within)
}

/// What is special within 2000::/3, the only range that is given out. Outside of it are loopback, unspecified, mapped and
/// compatible IPv4 addresses, NAT64, unique local, link-local, site-local, multicast.
const SPECIAL_V6: [(Ipv6Addr, u32); 5] = [
    // Protocol assignments: Teredo, benchmarking, ORCHID.
    (Ipv6Addr::new(0x2001, 0, 0, 0, 0, 0, 0, 0), 23),
    (Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 0), 32),
    // 6to4: an IPv4 address is in it.
    (Ipv6Addr::new(0x2002, 0, 0, 0, 0, 0, 0, 0), 16),
    (Ipv6Addr::new(0x2620, 0x4f, 0x8000, 0, 0, 0, 0, 0), 48),
    (Ipv6Addr::new(0x3fff, 0, 0, 0, 0, 0, 0, 0), 20),
];

fn is_public_v6(address: Ipv6Addr) -> bool {
    let bits = address.to_bits();
    let within = |network: Ipv6Addr, len: u32| {
        let mask = u128::MAX.checked_shl(128 - len).unwrap_or(0);
        bits & mask == network.to_bits()
    };
    // ISATAP hides an IPv4 address in the last 64 bits of any network.
    let isatap = (bits >> 32) & 0xfdff_ffff == 0x5efe;
    within(Ipv6Addr::new(0x2000, 0, 0, 0, 0, 0, 0, 0), 3)
        && !isatap
        && !SPECIAL_V6.iter().any(|(network, len)| within(*network, *len))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const INNER: &str = "0.0.0.0 0.255.255.255 10.0.0.0 10.255.255.255 100.64.0.0 100.127.255.255 127.0.0.1 127.255.255.255 \
        169.254.0.0 169.254.169.254 169.254.255.255 172.16.0.0 172.31.255.255 192.0.0.0 192.0.0.192 192.0.2.1 \
        192.88.99.1 192.168.0.0 192.168.255.255 198.18.0.0 198.19.255.255 198.51.100.9 203.0.113.9 224.0.0.1 \
        239.255.255.255 240.0.0.1 255.255.255.255 168.63.129.16 :: ::1 ::ffff:127.0.0.1 ::ffff:93.184.215.14 \
        ::127.0.0.1 64:ff9b::7f00:1 64:ff9b::5db8:d70e 64:ff9b:1::1 100::1 2001::1 2001:1ff:ffff::1 2001:db8::1 \
        2002:7f00:1::1 2002:5db8:d70e::1 3fff::1 5f00::1 fc00::1 fd00:ec2::254 fdff:ffff::1 fe80::1 febf::1 \
        fec0::1 ff02::1 2606:4700::5efe:7f00:1 2606:4700::200:5efe:7f00:1";
    const OUTER: &str = "1.0.0.0 9.255.255.255 11.0.0.0 100.63.255.255 100.128.0.0 126.255.255.255 128.0.0.0 169.253.255.255 \
        169.255.0.0 172.15.255.255 172.32.0.0 192.167.255.255 192.169.0.0 198.17.255.255 198.20.0.0 \
        223.255.255.255 93.184.215.14 2001:200::1 2001:db7::1 2003::1 2606:2800:21f:cb07:6820:80da:af6b:8b2c \
        2a00::1 3ffe::1";

    fn public(text: &str) -> bool {
        is_public(text.parse().unwrap())
    }

    /// The first and the last address of every range that is not public, and its neighbours outside where those are public.
    #[test]
    fn only_public_addresses_pass() {
        for inner in INNER.split(' ') {
            assert!(!public(inner), "{inner}");
        }
        for outer in OUTER.split(' ') {
            assert!(public(outer), "{outer}");
        }
    }

    proptest! {
        /// No IPv4 address gets through written as an IPv6 one.
        #[test]
        fn no_inner_address_hides_in_another(bits in any::<u32>()) {
            let v4 = Ipv4Addr::from_bits(bits);
            for v6 in [
                v4.to_ipv6_mapped(),
                Ipv6Addr::from_bits(u128::from(bits)),
                Ipv6Addr::from_bits((0x0064_ff9b_u128 << 96) | u128::from(bits)),
                Ipv6Addr::from_bits((0x2002_u128 << 112) | (u128::from(bits) << 80) | 1),
            ] {
                prop_assert!(!is_public(IpAddr::V6(v6)), "{v6}");
                prop_assert!(!Reach::Loopback.permits(IpAddr::V6(v6)) || v6 == Ipv6Addr::LOCALHOST);
            }
            let std_says = v4.is_private() || v4.is_loopback() || v4.is_link_local() || v4.is_multicast()
                || v4.is_broadcast() || v4.is_documentation() || v4.is_unspecified();
            prop_assert!(!(std_says && is_public(IpAddr::V4(v4))), "{v4}");
        }
    }

    /// https on its usual ports, no name and password, no literal of an inner network in any notation.
    #[test]
    fn endpoints_are_https_and_elsewhere() {
        let check = |reach: Reach, text: &str| reach.check(&Url::parse(text).unwrap()).is_ok();
        for bad in [
            "http://shop.example/",
            "ftp://shop.example/",
            "https://a:b@shop.example/",
            "https://a@shop.example/",
            "https://shop.example:22/",
            "https://shop.example:5432/",
            "https://shop.example:80/",
            "https://localhost/",
            "https://localhost./",
            "https://127.0.0.1/",
            "https://127.1/",
            "https://2130706433/",
            "https://0x7f000001/",
            "https://0177.0.0.1/",
            "https://[::1]/",
            "https://[::ffff:10.0.0.1]/",
            "https://10.0.0.1/",
            "https://169.254.169.254/latest/meta-data/",
            "https://[fd00:ec2::254]/",
            "https://0/",
            "https://192.168.0.1:8443/",
        ] {
            assert!(!check(Reach::Public, bad), "{bad}");
        }
        for good in ["https://shop.example/webhooks?a=b", "https://shop.example:8443/", "https://93.184.215.14/"] {
            assert!(check(Reach::Public, good) && check(Reach::Loopback, good), "{good}");
        }
        for own in ["http://localhost:4242/", "http://127.0.0.1:1/", "http://[::1]:8080/", "https://localhost:4242/"] {
            assert!(!check(Reach::Public, own) && check(Reach::Loopback, own), "{own}");
        }
        for still_bad in ["http://10.0.0.1/", "http://127.0.0.2/", "http://169.254.169.254/", "http://shop.example/"] {
            assert!(!check(Reach::Loopback, still_bad), "{still_bad}");
        }
    }
}
