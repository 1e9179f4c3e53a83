"""Which IP addresses a stranger's URL may lead to.

Python's own `ipaddress.is_global` is not asked: its answers change between patch releases.
"""

from __future__ import annotations

import ipaddress
from ipaddress import IPv4Address, IPv6Address

_Network = ipaddress.IPv4Network | ipaddress.IPv6Network


def _networks(*texts: str) -> tuple[_Network, ...]:
    return tuple(ipaddress.ip_network(text) for text in texts)


_NOT_PUBLIC = _networks(
    "0.0.0.0/8",  # this network, RFC 791
    "10.0.0.0/8",  # private, RFC 1918
    "100.64.0.0/10",  # shared by the customers of a provider, RFC 6598
    "127.0.0.0/8",  # loopback, RFC 1122
    "172.16.0.0/12",  # private, RFC 1918
    "192.0.2.0/24",  # documentation, RFC 5737
    "192.168.0.0/16",  # private, RFC 1918
    "198.18.0.0/15",  # benchmarks, RFC 2544
    "198.51.100.0/24",  # documentation, RFC 5737
    "203.0.113.0/24",  # documentation, RFC 5737
    "224.0.0.0/4",  # multicast, RFC 5771
    "240.0.0.0/4",  # reserved, RFC 1112; broadcast, RFC 919
    "2001::/23",  # protocol assignments, RFC 2928: benchmarks, ORCHID, anycast
    "2001:db8::/32",  # documentation, RFC 3849
    "3fff::/20",  # documentation, RFC 9637
)
_GLOBAL_UNICAST = ipaddress.IPv6Network("2000::/3")
"""RFC 4291 and IANA's registry: no public IPv6 address lies outside.

Private (fc00::/7, RFC 4193), multicast (ff00::/8, RFC 4291), discarded (100::/64, RFC 6666) and
loopback addresses do.
"""

_ALWAYS_REFUSED = _networks(
    "100.100.100.200/32",  # metadata, Alibaba Cloud
    "168.63.129.16/32",  # the platform itself, Azure
    "169.254.0.0/16",  # link-local, RFC 3927: the metadata services of most clouds
    "192.0.0.0/24",  # protocol assignments, RFC 6890; metadata, Oracle Cloud
    "192.88.99.0/24",  # 6to4 relays, RFC 7526
    "fd00:42::42/128",  # metadata, Scaleway
    "fd00:c1::/32",  # metadata, Oracle Cloud
    "fd00:ec2::/32",  # metadata, AWS
    "fd20:ce::254/128",  # metadata, Google Cloud
    "fe80::/10",  # link-local, RFC 4291
    "fec0::/10",  # site-local, RFC 3879
    "::ffff:0:0:0/96",  # IPv4-translated, RFC 7915: carries any IPv4 address
    "64:ff9b::/96",  # NAT64, RFC 6052: the same
    "64:ff9b:1::/48",  # NAT64, RFC 8215: the same
    "2001::/32",  # Teredo, RFC 4380: the same
    "2002::/16",  # 6to4, RFC 3056: the same
)
_ISATAP = (0x0000_5EFE, 0x0200_5EFE)
"""RFC 5214: bits 32 to 63 of an address that carries any IPv4 address."""
_IPV4_COMPATIBLE = ipaddress.IPv6Network("::/96")
"""RFC 4291, 2.5.5.1: the last 32 bits are an IPv4 address."""


def is_public(text: str) -> bool:
    """Return whether an address belongs to the internet at large."""
    if is_always_refused(text):
        return False
    address = _parsed(text)
    if isinstance(address, IPv6Address) and address not in _GLOBAL_UNICAST:
        return False
    return not _is_in(address, _NOT_PUBLIC)


def is_always_refused(text: str) -> bool:
    """Return whether an address stays closed even to those who may reach private ones: a cloud's
    metadata service, or a tunnel that could lead to one.
    """
    try:
        address = _parsed(text)
    except ValueError:
        return True
    if isinstance(address, IPv6Address) and address in _IPV4_COMPATIBLE:
        address = IPv4Address(int(address))
    return _is_isatap(address) or _is_in(address, _ALWAYS_REFUSED)


def _parsed(text: str) -> IPv4Address | IPv6Address:
    """Parse an address; one that is mapped into IPv6 (RFC 4291, 2.5.5.2) is the IPv4 address."""
    address = ipaddress.ip_address(text)
    return (address.ipv4_mapped or address) if isinstance(address, IPv6Address) else address


def _is_isatap(address: IPv4Address | IPv6Address) -> bool:
    return address.version == 6 and int(address) >> 32 & 0xFFFF_FFFF in _ISATAP


def _is_in(address: IPv4Address | IPv6Address, networks: tuple[_Network, ...]) -> bool:
    return any(address in network for network in networks if network.version == address.version)
