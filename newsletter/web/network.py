"""From which network a request comes: enough to count by, too little to know a person by."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network

from flask import request

_PREFIX = {4: 24, 6: 48}
_OURS = [
    ip_network(each)
    for each in (
        "0.0.0.0/8",
        "10.0.0.0/8",
        "127.0.0.0/8",
        "169.254.0.0/16",
        "172.16.0.0/12",
        "192.168.0.0/16",
        "::/127",
        "fc00::/7",
        "fe80::/10",
    )
]


def client_network() -> str | None:
    """Return the network of whoever sent this request, such as 196.12.34.0/24; None if it is a house's own."""
    return network_of(request.remote_addr or "")


def network_of(text: str) -> str | None:
    """Return the /24 or /48 of an address as text; None for loopback and private ones, and for what is no address."""
    try:
        address = ip_address(text.partition("%")[0])
    except ValueError:
        return None
    address = _embedded(address)
    if any(address in network for network in _OURS if network.version == address.version):
        return None
    return str(ip_network((address, _PREFIX[address.version]), strict=False))


def _embedded(address: IPv4Address | IPv6Address) -> IPv4Address | IPv6Address:
    """Return the IPv4 address that an IPv6 socket shows as ::ffff:196.12.34.56."""
    return (address.ipv4_mapped or address) if isinstance(address, IPv6Address) else address
