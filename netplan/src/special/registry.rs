//! The rows of IANA's registries of special-purpose addresses, and other blocks like them.
//!
//! The state is that of 2026-07-18, when the registries had last been updated on 2025-10-09. Every
//! row was compared with two stored copies of IANA's CSV files, which agree; the test keeps the
//! files. The blocks of [`OTHER`] were compared with IANA's IPv6 address space of 2019-09-13, and
//! their RFCs. The registry's footnotes are left out: 127.0.0.0/8, 192.0.0.0/24 and 2001::/23
//! have exceptions (RFC 8029, RFC 5884, and the rows inside them).

use crate::net::Net;

use super::Special;

/// IANA's IPv4 special-purpose address registry, in its order. The row of 192.0.0.170/32 and
/// 192.0.0.171/32 is here the /31 of the two.
#[rustfmt::skip] // A row a line, as in the registry.
pub static V4: [Special; 25] = [
    row(v4([0, 0, 0, 0], 8), "\"This network\"", "RFC 791, 3.2", "1981-09", *b"TFFFT"),
    row(v4([0, 0, 0, 0], 32), "\"This host on this network\"", "RFC 1122, 3.2.1.3", "1981-09", *b"TFFFT"),
    row(v4([10, 0, 0, 0], 8), "Private-Use", "RFC 1918", "1996-02", *b"TTTFF"),
    row(v4([100, 64, 0, 0], 10), "Shared Address Space", "RFC 6598", "2012-04", *b"TTTFF"),
    row(v4([127, 0, 0, 0], 8), "Loopback", "RFC 1122, 3.2.1.3", "1981-09", *b"FFFFT"),
    row(v4([169, 254, 0, 0], 16), "Link Local", "RFC 3927", "2005-05", *b"TTFFT"),
    row(v4([172, 16, 0, 0], 12), "Private-Use", "RFC 1918", "1996-02", *b"TTTFF"),
    row(v4([192, 0, 0, 0], 24), "IETF Protocol Assignments", "RFC 6890, 2.1", "2010-01", *b"FFFFF"),
    row(v4([192, 0, 0, 0], 29), "IPv4 Service Continuity Prefix", "RFC 7335", "2011-06", *b"TTTFF"),
    row(v4([192, 0, 0, 8], 32), "IPv4 dummy address", "RFC 7600", "2015-03", *b"TFFFF"),
    row(v4([192, 0, 0, 9], 32), "Port Control Protocol Anycast", "RFC 7723", "2015-10", *b"TTTTF"),
    row(v4([192, 0, 0, 10], 32), "Traversal Using Relays around NAT Anycast", "RFC 8155", "2017-02", *b"TTTTF"),
    row(v4([192, 0, 0, 170], 31), "NAT64/DNS64 Discovery", "RFC 8880; RFC 7050, 2.2", "2013-02", *b"FFFFT"),
    row(v4([192, 0, 2, 0], 24), "Documentation (TEST-NET-1)", "RFC 5737", "2010-01", *b"FFFFF"),
    row(v4([192, 31, 196, 0], 24), "AS112-v4", "RFC 7535", "2014-12", *b"TTTTF"),
    row(v4([192, 52, 193, 0], 24), "AMT", "RFC 7450", "2014-12", *b"TTTTF"),
    row(v4([192, 88, 99, 0], 24), "Deprecated (6to4 Relay Anycast)", "RFC 7526", "2001-06", *b"-----").until("2015-03"),
    row(v4([192, 88, 99, 2], 32), "6a44-relay anycast address", "RFC 6751", "2012-10", *b"TTTFF"),
    row(v4([192, 168, 0, 0], 16), "Private-Use", "RFC 1918", "1996-02", *b"TTTFF"),
    row(v4([192, 175, 48, 0], 24), "Direct Delegation AS112 Service", "RFC 7534", "1996-01", *b"TTTTF"),
    row(v4([198, 18, 0, 0], 15), "Benchmarking", "RFC 2544", "1999-03", *b"TTTFF"),
    row(v4([198, 51, 100, 0], 24), "Documentation (TEST-NET-2)", "RFC 5737", "2010-01", *b"FFFFF"),
    row(v4([203, 0, 113, 0], 24), "Documentation (TEST-NET-3)", "RFC 5737", "2010-01", *b"FFFFF"),
    row(v4([240, 0, 0, 0], 4), "Reserved", "RFC 1112, 4", "1989-08", *b"FFFFT"),
    row(v4([255, 255, 255, 255], 32), "Limited Broadcast", "RFC 8190; RFC 919, 7", "1984-10", *b"FTFFT"),
];

/// IANA's IPv6 special-purpose address registry, in its order.
#[rustfmt::skip] // A row a line, as in the registry.
pub static V6: [Special; 25] = [
    row(v6([0, 0, 0, 0, 0, 0, 0, 0x1], 128), "Loopback Address", "RFC 4291", "2006-02", *b"FFFFT"),
    row(v6([0, 0, 0, 0, 0, 0, 0, 0], 128), "Unspecified Address", "RFC 4291", "2006-02", *b"TFFFT"),
    row(v6([0, 0, 0, 0, 0, 0xffff, 0, 0], 96), "IPv4-mapped Address", "RFC 4291", "2006-02", *b"FFFFT"),
    row(v6([0x64, 0xff9b, 0, 0, 0, 0, 0, 0], 96), "IPv4-IPv6 Translat.", "RFC 6052", "2010-10", *b"TTTTF"),
    row(v6([0x64, 0xff9b, 0x1, 0, 0, 0, 0, 0], 48), "IPv4-IPv6 Translat.", "RFC 8215", "2017-06", *b"TTTFF"),
    row(v6([0x100, 0, 0, 0, 0, 0, 0, 0], 64), "Discard-Only Address Block", "RFC 6666", "2012-06", *b"TTTFF"),
    row(v6([0x100, 0, 0, 0x1, 0, 0, 0, 0], 64), "Dummy IPv6 Prefix", "RFC 9780", "2025-04", *b"TFFFF"),
    row(v6([0x2001, 0, 0, 0, 0, 0, 0, 0], 23), "IETF Protocol Assignments", "RFC 2928", "2000-09", *b"FFFFF"),
    row(v6([0x2001, 0, 0, 0, 0, 0, 0, 0], 32), "TEREDO", "RFC 4380; RFC 8190", "2006-01", *b"TTT-F"),
    row(v6([0x2001, 0x1, 0, 0, 0, 0, 0, 0x1], 128), "Port Control Protocol Anycast", "RFC 7723", "2015-10", *b"TTTTF"),
    row(v6([0x2001, 0x1, 0, 0, 0, 0, 0, 0x2], 128), "Traversal Using Relays around NAT Anycast", "RFC 8155", "2017-02", *b"TTTTF"),
    row(v6([0x2001, 0x1, 0, 0, 0, 0, 0, 0x3], 128), "DNS-SD Service Registration Protocol Anycast", "RFC 9665", "2024-04", *b"TTTTF"),
    row(v6([0x2001, 0x2, 0, 0, 0, 0, 0, 0], 48), "Benchmarking", "RFC 5180; RFC Errata 1752", "2008-04", *b"TTTFF"),
    row(v6([0x2001, 0x3, 0, 0, 0, 0, 0, 0], 32), "AMT", "RFC 7450", "2014-12", *b"TTTTF"),
    row(v6([0x2001, 0x4, 0x112, 0, 0, 0, 0, 0], 48), "AS112-v6", "RFC 7535", "2014-12", *b"TTTTF"),
    row(v6([0x2001, 0x10, 0, 0, 0, 0, 0, 0], 28), "Deprecated (previously ORCHID)", "RFC 4843", "2007-03", *b"-----").until("2014-03"),
    row(v6([0x2001, 0x20, 0, 0, 0, 0, 0, 0], 28), "ORCHIDv2", "RFC 7343", "2014-07", *b"TTTTF"),
    row(v6([0x2001, 0x30, 0, 0, 0, 0, 0, 0], 28), "Drone Remote ID Protocol Entity Tags (DETs) Prefix", "RFC 9374", "2022-12", *b"TTTTF"),
    row(v6([0x2001, 0xdb8, 0, 0, 0, 0, 0, 0], 32), "Documentation", "RFC 3849", "2004-07", *b"FFFFF"),
    row(v6([0x2002, 0, 0, 0, 0, 0, 0, 0], 16), "6to4", "RFC 3056", "2001-02", *b"TTT-F"),
    row(v6([0x2620, 0x4f, 0x8000, 0, 0, 0, 0, 0], 48), "Direct Delegation AS112 Service", "RFC 7534", "2011-05", *b"TTTTF"),
    row(v6([0x3fff, 0, 0, 0, 0, 0, 0, 0], 20), "Documentation", "RFC 9637", "2024-07", *b"FFFFF"),
    row(v6([0x5f00, 0, 0, 0, 0, 0, 0, 0], 16), "Segment Routing (SRv6) SIDs", "RFC 9602", "2024-04", *b"TTTFF"),
    row(v6([0xfc00, 0, 0, 0, 0, 0, 0, 0], 7), "Unique-Local", "RFC 4193; RFC 8190", "2005-10", *b"TTTFF"),
    row(v6([0xfe80, 0, 0, 0, 0, 0, 0, 0], 10), "Link-Local Unicast", "RFC 4291", "2006-02", *b"TTFFT"),
];

/// Blocks that no host may have and that the two registries leave out: multicast, and what the
/// registry of the IPv6 address space calls reserved by the IETF; the half of the unique local
/// addresses that RFC 4193 leaves undefined; the old site-local addresses.
#[rustfmt::skip] // A row a line, as in the registry.
pub static OTHER: [Special; 19] = [
    other(v4([224, 0, 0, 0], 4), "Multicast", "RFC 5771"),
    other(v6([0, 0, 0, 0, 0, 0, 0, 0], 8), "Reserved by IETF", "RFC 4291"),
    other(v6([0x100, 0, 0, 0, 0, 0, 0, 0], 8), "Reserved by IETF", "RFC 4291"),
    other(v6([0x200, 0, 0, 0, 0, 0, 0, 0], 7), "Reserved by IETF", "RFC 4048"),
    other(v6([0x400, 0, 0, 0, 0, 0, 0, 0], 6), "Reserved by IETF", "RFC 4291"),
    other(v6([0x800, 0, 0, 0, 0, 0, 0, 0], 5), "Reserved by IETF", "RFC 4291"),
    other(v6([0x1000, 0, 0, 0, 0, 0, 0, 0], 4), "Reserved by IETF", "RFC 4291"),
    other(v6([0x4000, 0, 0, 0, 0, 0, 0, 0], 3), "Reserved by IETF", "RFC 4291"),
    other(v6([0x6000, 0, 0, 0, 0, 0, 0, 0], 3), "Reserved by IETF", "RFC 4291"),
    other(v6([0x8000, 0, 0, 0, 0, 0, 0, 0], 3), "Reserved by IETF", "RFC 4291"),
    other(v6([0xa000, 0, 0, 0, 0, 0, 0, 0], 3), "Reserved by IETF", "RFC 4291"),
    other(v6([0xc000, 0, 0, 0, 0, 0, 0, 0], 3), "Reserved by IETF", "RFC 4291"),
    other(v6([0xe000, 0, 0, 0, 0, 0, 0, 0], 4), "Reserved by IETF", "RFC 4291"),
    other(v6([0xf000, 0, 0, 0, 0, 0, 0, 0], 5), "Reserved by IETF", "RFC 4291"),
    other(v6([0xf800, 0, 0, 0, 0, 0, 0, 0], 6), "Reserved by IETF", "RFC 4291"),
    other(v6([0xfc00, 0, 0, 0, 0, 0, 0, 0], 8), "Unique-Local, not locally assigned (undefined)", "RFC 4193, 3.1"),
    other(v6([0xfe00, 0, 0, 0, 0, 0, 0, 0], 9), "Reserved by IETF", "RFC 4291"),
    other(v6([0xfec0, 0, 0, 0, 0, 0, 0, 0], 10), "Site-Local Unicast (deprecated)", "RFC 3879"),
    other(v6([0xff00, 0, 0, 0, 0, 0, 0, 0], 8), "Multicast", "RFC 4291, 2.7"),
];

const fn v4(octets: [u8; 4], prefix_len: u8) -> Net {
    Net::fixed_v4(octets, prefix_len)
}

const fn v6(groups: [u16; 8], prefix_len: u8) -> Net {
    Net::fixed_v6_groups(groups, prefix_len)
}

/// One row; the five letters are the five properties in the registry's order, `T` for true, `F`
/// for false, `-` for neither.
const fn row(
    block: Net,
    name: &'static str,
    rfc: &'static str,
    allocated: &'static str,
    properties: [u8; 5],
) -> Special {
    let [
        source,
        destination,
        forwardable,
        globally_reachable,
        reserved_by_protocol,
    ] = properties;
    Special {
        block,
        name,
        rfc,
        allocated: Some(allocated),
        terminated: None,
        source: property(source),
        destination: property(destination),
        forwardable: property(forwardable),
        globally_reachable: property(globally_reachable),
        reserved_by_protocol: property(reserved_by_protocol),
    }
}

const fn property(letter: u8) -> Option<bool> {
    match letter {
        b'T' => Some(true),
        b'F' => Some(false),
        _ => None,
    }
}

const fn other(block: Net, name: &'static str, rfc: &'static str) -> Special {
    let mut special = row(block, name, rfc, "", *b"-----");
    special.allocated = None;
    special
}

impl Special {
    const fn until(mut self, terminated: &'static str) -> Self {
        self.terminated = Some(terminated);
        self
    }
}
