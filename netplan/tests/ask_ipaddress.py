"""Answers questions about networks with Python's own ipaddress module.

Reads one question a line from standard input, a JSON list of an operation and its arguments, and
prints one answer a line, in JSON. The first line printed says whether the module knows the
exceptions to private networks, which came with the security releases of 2024.
"""
import ipaddress
import json
import sys

net = ipaddress.ip_network


def covers(a, b):
    return a.version == b.version and b.subnet_of(a)


def subtract(a, b):
    # address_exclude() takes nothing but a part of the network, and knows no order.
    if not a.overlaps(b):
        return [a]
    return [] if covers(b, a) else sorted(a.address_exclude(b))


def aggregate(nets):
    # collapse_addresses() refuses to mix the families.
    return [
        kept
        for version in (4, 6)
        for kept in ipaddress.collapse_addresses(n for n in nets if n.version == version)
    ]


def summarize(first, last):
    first, last = ipaddress.ip_address(first), ipaddress.ip_address(last)
    return list(ipaddress.summarize_address_range(first, last))


def kind(address):
    address = ipaddress.ip_address(address)
    return [address.is_private, address.is_global]


def written(value):
    """The text of an address or a network, in the form that RFC 5952, section 5 recommends.

    Before 3.13 the module writes the IPv4 address in ::ffff:0:0/96 in hexadecimal.
    """
    network = isinstance(value, (ipaddress.IPv4Network, ipaddress.IPv6Network))
    address = value.network_address if network else value
    mapped = getattr(address, "ipv4_mapped", None)
    text = str(address) if mapped is None else f"::ffff:{mapped}"
    return f"{text}/{value.prefixlen}" if network else text


OPERATIONS = {
    "text": lambda a: net(a),
    "containing": lambda address, length: net((address, length), strict=False),
    "overlaps": lambda a, b: net(a).overlaps(net(b)),
    "covers": lambda a, b: covers(net(a), net(b)),
    "less": lambda a, b: (net(a).version, net(a)) < (net(b).version, net(b)),
    "supernet": lambda a: net(a).supernet() if net(a).prefixlen else None,
    "subtract": lambda a, b: subtract(net(a), net(b)),
    "aggregate": lambda *nets: aggregate([net(n) for n in nets]),
    "subnets": lambda a, length: list(net(a).subnets(new_prefix=length)),
    "hosts": lambda a: list(net(a).hosts()),
    "summarize": summarize,
    "count": lambda a: str(net(a).num_addresses),
    "last": lambda a: net(a).broadcast_address,
    "kind": kind,
}

print(json.dumps(hasattr(ipaddress._IPv6Constants, "_private_networks_exceptions")))
for line in sys.stdin:
    operation, *arguments = json.loads(line)
    print(json.dumps(OPERATIONS[operation](*arguments), default=written))
