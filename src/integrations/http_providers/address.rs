//! Public addresses: reachable from anywhere.
//!
//! After IANA's special-purpose address registries (RFC 6890 and its updates),
//! <https://www.iana.org/assignments/iana-ipv4-special-registry> and `…-ipv6-special-registry`, as of November 2026.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// A block: its first address, its prefix length, and its purpose.
type Block<Address> = (Address, u32, &'static str);

const fn v4(a: u8, b: u8, c: u8, d: u8, bits: u32, what: &'static str) -> Block<Ipv4Addr> {
    (Ipv4Addr::new(a, b, c, d), bits, what)
}

const fn v6(head: [u16; 3], bits: u32, what: &'static str) -> Block<Ipv6Addr> {
    (Ipv6Addr::new(head[0], head[1], head[2], 0, 0, 0, 0, 0), bits, what)
}

const V4: &[Block<Ipv4Addr>] = &[
    v4(0, 0, 0, 0, 8, "this machine or network (RFC 791)"),
    v4(10, 0, 0, 0, 8, "a private network (RFC 1918)"),
    v4(100, 64, 0, 0, 10, "an operator's shared network (RFC 6598)"),
    v4(127, 0, 0, 0, 8, "this machine (RFC 1122)"),
    // Not in the registry, but like 169.254.169.254 an address where a cloud (Azure) answers its own machines.
    v4(168, 63, 129, 16, 32, "a cloud's own services"),
    v4(169, 254, 0, 0, 16, "link-local, where clouds keep their credentials (RFC 3927)"),
    v4(172, 16, 0, 0, 12, "a private network (RFC 1918)"),
    v4(192, 0, 0, 0, 24, "for protocols (RFC 6890)"),
    v4(192, 0, 2, 0, 24, "for documentation (RFC 5737)"),
    v4(192, 88, 99, 0, 24, "the former 6to4 relays (RFC 7526)"),
    v4(192, 168, 0, 0, 16, "a private network (RFC 1918)"),
    v4(198, 18, 0, 0, 15, "for measurements (RFC 2544)"),
    v4(198, 51, 100, 0, 24, "for documentation (RFC 5737)"),
    v4(203, 0, 113, 0, 24, "for documentation (RFC 5737)"),
    v4(224, 0, 0, 0, 4, "multicast (RFC 5771)"),
    v4(240, 0, 0, 0, 4, "reserved, or broadcast (RFC 1112, RFC 919)"),
];

/// Blocks within 2000::/3. Outside it nothing is public but NAT64 (RFC 6052), which stands for an IPv4 address.
const V6: &[Block<Ipv6Addr>] = &[
    v6([0x2001, 0, 0], 23, "for protocols (RFC 2928)"),
    v6([0x2001, 0xdb8, 0], 32, "for documentation (RFC 3849)"),
    v6([0x3fff, 0, 0], 20, "for documentation (RFC 9637)"),
];
const GLOBAL_UNICAST: Block<Ipv6Addr> = v6([0x2000, 0, 0], 3, "");

/// Returns why `address` must not be called; `None` if it is public.
pub fn objection(address: IpAddr) -> Option<&'static str> {
    match address.to_canonical() {
        IpAddr::V4(address) => objection_to_v4(address),
        IpAddr::V6(address) => objection_to_v6(address),
    }
}

fn objection_to_v4(address: Ipv4Addr) -> Option<&'static str> {
    let holds = |(first, bits, _): &&Block<Ipv4Addr>| (address.to_bits() ^ first.to_bits()) >> (32 - bits) == 0;
    V4.iter().find(holds).map(|(.., what)| *what)
}

fn objection_to_v6(address: Ipv6Addr) -> Option<&'static str> {
    if let Some(inner) = stands_for(address) {
        return inner.into_iter().find_map(objection_to_v4);
    }
    let holds = |(first, bits, _): &&Block<Ipv6Addr>| (address.to_bits() ^ first.to_bits()) >> (128 - bits) == 0;
    if !holds(&&GLOBAL_UNICAST) {
        return Some("not for the public Internet (RFC 4291)");
    }
    V6.iter().find(holds).map(|(.., what)| *what)
}

/// Returns the IPv4 addresses that an IPv6 address reaches through a translator or a tunnel. Mapped addresses
/// (`::ffff:a.b.c.d`) are canonical IPv4 already; "compatible" ones (`::a.b.c.d`) are not public.
fn stands_for(address: Ipv6Addr) -> Option<[Ipv4Addr; 2]> {
    let parts = address.segments();
    let at = |high: u16, low: u16| Ipv4Addr::from_bits(u32::from(high) << 16 | u32::from(low));
    match parts {
        // NAT64 (RFC 6052): the last 32 bits.
        [0x64, 0xff9b, 0, 0, 0, 0, high, low] => Some([at(high, low); 2]),
        // 6to4 (RFC 3056): after the first 16 bits.
        [0x2002, high, low, ..] => Some([at(high, low); 2]),
        // Teredo (RFC 4380): the server, and at the end the client with inverted bits.
        [0x2001, 0, high, low, _, _, client_high, client_low] => Some([at(high, low), at(!client_high, !client_low)]),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is_public(text: &str) -> bool {
        objection(text.parse().unwrap()).is_none()
    }

    #[test]
    fn the_edges_of_each_block_are_where_the_registry_has_them() {
        for (first, bits, _) in V4 {
            let last = first.to_bits() | u32::MAX.checked_shr(*bits).unwrap_or(0);
            for inside in [first.to_bits(), last] {
                assert!(objection_to_v4(Ipv4Addr::from_bits(inside)).is_some(), "{}", Ipv4Addr::from_bits(inside));
            }
        }
        for public in [
            "1.1.1.1",
            "9.255.255.255",
            "11.0.0.0",
            "100.63.255.255",
            "100.128.0.0",
            "126.255.255.255",
            "128.0.0.0",
            "168.63.129.15",
            "168.63.129.17",
            "169.253.255.255",
            "169.255.0.0",
            "172.15.255.255",
            "172.32.0.0",
            "192.0.1.0",
            "192.167.255.255",
            "192.169.0.0",
            "198.17.255.255",
            "198.20.0.0",
            "223.255.255.255",
        ] {
            assert!(is_public(public), "{public}");
        }
        for not in ["0.0.0.0", "255.255.255.255", "169.254.169.254", "100.100.100.200", "192.168.1.1", "239.1.2.3"] {
            assert!(!is_public(not), "{not}");
        }
    }

    #[test]
    fn of_ipv6_only_global_unicast_is_public() {
        for public in ["2606:4700:4700::1111", "2a00:1450:4003::1", "2001:200::1", "2400::1"] {
            assert!(is_public(public), "{public}");
        }
        for not in [
            "::",
            "::1",
            "fe80::1",
            "fec0::1",
            "fc00::1",
            "fd00:ec2::254",
            "ff02::1",
            "100::1",
            "5f00::1",
            "2001:db8::1",
            "2001:2::1",
            "2001:10::1",
            "2001:1ff:ffff::1",
            "3fff::1",
            "64:ff9b:1::1",
            "4000::1",
            "1fff::1",
        ] {
            assert!(!is_public(not), "{not}");
        }
    }

    #[test]
    fn an_address_within_an_address_is_seen() {
        for (inner, public) in
            [("8.8.8.8", true), ("127.0.0.1", false), ("169.254.169.254", false), ("10.0.0.1", false)]
        {
            let four: Ipv4Addr = inner.parse().unwrap();
            let [a, b, c, d] = four.octets().map(u16::from);
            let (high, low) = (a << 8 | b, c << 8 | d);
            let check = |spelling: String| assert_eq!(is_public(&spelling), public, "{spelling}");
            check(format!("::ffff:{four}"));
            check(format!("64:ff9b::{four}"));
            check(format!("2002:{high:x}:{low:x}::1"));
            check(format!("2001:0:808:808::{:x}:{:x}", !high, !low));
            check(format!("2001:0:{high:x}:{low:x}::{:x}:{:x}", !0x0808u16, !0x0808u16));
            assert!(!is_public(&format!("::{four}")), "compatible addresses are out of use: {four}");
        }
    }
}
