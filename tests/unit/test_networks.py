"""From which network somebody comes: cut so that no person is known by it, and never a house's own."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network

import pytest
from hypothesis import given
from hypothesis import strategies as st

from newsletter.web.network import network_of


@pytest.mark.parametrize(
    ("address", "network"),
    [
        ("196.12.34.56", "196.12.34.0/24"),
        ("::ffff:196.12.34.56", "196.12.34.0/24"),
        ("2001:4860:1234:5678::1", "2001:4860:1234::/48"),
        ("127.0.0.1", None),
        ("::1", None),
        ("10.1.2.3", None),
        ("172.20.0.9", None),
        ("192.168.1.1", None),
        ("::ffff:192.168.1.1", None),
        ("fe80::1%eth0", None),
        ("fd12::1", None),
        ("", None),
        ("unknown", None),
        ("196.12.34.56:4711", None),
    ],
)
def test_a_network_is_cut_to_24_or_48_bits(address: str, network: str | None) -> None:
    assert network_of(address) == network


@given(st.text() | st.ip_addresses().map(str))
def test_whatever_stands_for_an_address_is_read_or_left_aside(text: str) -> None:
    network = network_of(text)
    if network is not None:
        address = ip_address(text.partition("%")[0])
        address = (address.ipv4_mapped or address) if isinstance(address, IPv6Address) else address
        assert address in ip_network(network)
        assert ip_network(network).prefixlen == (24 if isinstance(address, IPv4Address) else 48)
        assert len(network) <= 49
