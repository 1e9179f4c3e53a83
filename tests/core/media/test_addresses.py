"""Addresses: the table against the ranges' edges, and against Python's."""

from __future__ import annotations

import ipaddress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.media.addresses import is_always_refused, is_public
from tests.core.media.hostile import METADATA, NOT_PUBLIC, PUBLIC


@pytest.mark.parametrize("address", PUBLIC)
def test_a_public_address_is_public(address: str) -> None:
    """Also right beside a range that is not."""
    assert is_public(address)
    assert not is_always_refused(address)


@pytest.mark.parametrize("address", NOT_PUBLIC)
def test_an_address_that_is_not_public_is_refused(address: str) -> None:
    """From the first of its range to the last."""
    assert not is_public(address)


@pytest.mark.parametrize("address", METADATA)
def test_the_address_of_a_metadata_service_is_always_refused(address: str) -> None:
    """Even from those who may reach private addresses."""
    assert is_always_refused(address)


@pytest.mark.parametrize(
    "address",
    ["127.0.0.1", "::1", "10.0.0.1", "192.168.1.1", "::ffff:10.0.0.1", "fd12:3456:789a::1"],
)
def test_a_private_address_may_be_opened(address: str) -> None:
    """It is not public, but no metadata service either."""
    assert not is_public(address)
    assert not is_always_refused(address)


@pytest.mark.parametrize("text", ["", "localhost", "1.2.3", "1.2.3.4.5", "::g", "01.2.3.4", "1%2"])
def test_text_that_is_no_address_is_refused(text: str) -> None:
    """Whatever a resolver may have meant by it."""
    assert not is_public(text)
    assert is_always_refused(text)


def test_a_scope_does_not_hide_an_address() -> None:
    """A link-local address names its interface behind a percent sign."""
    assert is_always_refused("fe80::1%eth0")
    assert not is_public("fe80::1%2")


@given(
    st.ip_addresses(v=4)
    | st.ip_addresses(v=6)
    | st.integers(0, 2**125 - 1).map(lambda n: ipaddress.IPv6Address(1 << 125 | n))
)
def test_the_table_is_never_more_generous_than_python(
    address: ipaddress.IPv4Address | ipaddress.IPv6Address,
) -> None:
    """Python's own `is_global` is an independent reading of the same registries."""
    if is_public(str(address)):
        assert (getattr(address, "ipv4_mapped", None) or address).is_global


@given(st.ip_addresses(v=4))
def test_an_address_mapped_into_ipv6_is_the_ipv4_address(address: ipaddress.IPv4Address) -> None:
    """A connection to one reaches the other."""
    assert is_public(f"::ffff:{address}") == is_public(str(address))
    assert is_always_refused(f"::ffff:{address}") == is_always_refused(str(address))
