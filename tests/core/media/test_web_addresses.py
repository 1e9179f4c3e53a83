"""The web: nothing but public addresses is connected to, in whatever way a URL leads elsewhere."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from core.errors import BlockedAddress, DownloadFailed, InvalidBase64, InvalidUrl, WorkerError
from core.media.guarded import Reach
from core.media.web import Web
from tests import media
from tests.core.media.hostile import METADATA, NOT_PUBLIC, PUBLIC, SCHEMES, SPELLINGS, TARGETS
from tests.core.media.internet import PUBLIC as OPEN
from tests.core.media.internet import Internet
from tests.core.media.sources import BODY, SWITCH, download, get, refused


def _literal(address: str) -> str:
    return f"[{address}]" if ":" in address else address


@pytest.mark.parametrize("address", NOT_PUBLIC)
@pytest.mark.parametrize("kind", ["http", "https", "name", "mixed", "mixed, last"])
def test_an_address_that_is_not_public_is_never_dialled(
    kind: str, address: str, internet: Internet
) -> None:
    """Written in the URL, behind a name, or beside a public address of the same name."""
    answers = {"name": (address,), "mixed": (address, OPEN), "mixed, last": (OPEN, address)}
    if kind in answers:
        url = f"http://{internet.name('name.test', *answers[kind])}/a.mp3"
    else:
        url = f"{kind}://{_literal(address)}/a.mp3"
    with pytest.raises(BlockedAddress, match="leads to an address that is not public") as caught:
        download(url)
    assert internet.dialled == []
    assert not caught.value.retryable


@pytest.mark.parametrize("address", PUBLIC)
@pytest.mark.parametrize("kind", ["literal", "name"])
def test_a_public_address_is_dialled_itself(kind: str, address: str, internet: Internet) -> None:
    """Written in the URL or behind a name, which the host hears of."""
    internet.host.url("/a.mp3", media.gives(BODY))
    name = internet.name("name.test", address) if kind == "name" else _literal(address)
    assert download(f"http://{name}/a.mp3") == BODY
    assert internet.dialled == [address]
    assert internet.host.seen[0][1]["Host"] == name


@pytest.mark.parametrize("address", METADATA)
def test_metadata_services_stay_closed_whatever_the_switch(
    address: str, internet: Internet, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Directly, behind a name and behind a redirect."""
    monkeypatch.setenv(SWITCH, "true")
    target = f"http://{_literal(address)}/latest/meta-data"
    internet.host.url("/old", media.redirects(target))
    internet.name("metadata.test", address)
    for url in (target, "http://metadata.test/latest", f"http://{OPEN}/old"):
        refused(BlockedAddress, url, tmp_path)
    assert internet.dialled == [OPEN]


@pytest.mark.parametrize("spelling", SPELLINGS)
@pytest.mark.parametrize("scheme", ["http", "HTTPS"])
def test_no_spelling_of_an_address_hides_it(scheme: str, spelling: str, internet: Internet) -> None:
    """Readers of URLs differ about some of them; all of them are refused with a code."""
    internet.name("localhost", "127.0.0.1", "::1")
    with pytest.raises((BlockedAddress, InvalidUrl, DownloadFailed)) as caught:
        download(f"{scheme}://{spelling}/a.mp3")
    assert internet.dialled == []
    assert not caught.value.retryable


@pytest.mark.parametrize("scheme", SCHEMES)
def test_no_other_scheme_is_fetched(scheme: str, internet: Internet, tmp_path: Path) -> None:
    """With two slashes, one, or none."""
    for text in (f"{scheme}://127.0.0.1/a", f"{scheme}:/etc/passwd", f"{scheme.upper()}:a"):
        with pytest.raises((InvalidUrl, InvalidBase64)):
            get(text, tmp_path)
    assert internet.dialled == []


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("code", [301, 302, 303, 307, 308])
def test_a_redirect_to_what_must_not_be_reached_is_not_followed(
    code: int, target: str, internet: Internet
) -> None:
    """The rule holds on every hop, for addresses as for schemes."""
    internet.name("localhost", "127.0.0.1")
    internet.name("inside.test", "10.0.0.1")
    internet.name("mixed.test", OPEN, "10.0.0.1")
    internet.host.url("/old", media.redirects(target.encode().decode("latin-1"), code))
    with pytest.raises((BlockedAddress, InvalidUrl)):
        download(f"http://{OPEN}/old")
    assert internet.dialled == [OPEN]
    assert [path for path, _ in internet.host.seen] == ["/old"]


@pytest.mark.usefixtures("public")
@pytest.mark.parametrize("code", [301, 302, 303, 307, 308])
def test_a_redirect_to_another_host_on_loopback_is_not_followed(code: int) -> None:
    """With nothing simulated: 127.0.0.1 plays the public host, 127.0.0.2 the private one."""
    with media.host() as open_host, media.host("127.0.0.2") as closed_host:
        target = closed_host.url("/secret", media.gives(b"canary"))
        url = open_host.url("/old", media.redirects(target, code))
        with pytest.raises(BlockedAddress, match=r"127\.0\.0\.2"):
            download(url, reach=Reach(lambda address: address == "127.0.0.1", None))
        assert [path for path, _ in open_host.seen] == ["/old"]
        assert closed_host.seen == []


@pytest.mark.usefixtures("public")
@pytest.mark.parametrize("address", ["127.0.0.1", "127.1", "0", "2130706433", "[::ffff:7f00:1]"])
def test_loopback_is_closed(address: str, host: media.Host, tmp_path: Path) -> None:
    """With nothing simulated: the host that listens there hears nothing."""
    refused(BlockedAddress, f"http://{address}:{host.server_port}/a.mp3", tmp_path)
    assert host.seen == []


def test_a_name_that_changes_its_addresses_gains_nothing(internet: Internet) -> None:
    """A thousand downloads of two hops: every hop looks its host up once and connects to what it
    found, or to nothing.
    """
    dice = random.Random(7)
    found: list[str] = []

    def rebind() -> list[str]:
        found.append(dice.choice([OPEN, "1.1.1.1", "127.0.0.1", "169.254.169.254"]))
        return found[-1:]

    internet.names["rebinding.test"] = rebind
    internet.host.url("/new", media.gives(b"sound"))
    internet.host.url("/old", media.redirects("/new"))
    fetched = 0
    for _ in range(1000):
        for record in (found, internet.dialled, internet.host.seen):
            record.clear()
        try:
            assert download("http://rebinding.test/old") == b"sound"
            fetched += 1
            assert len(found) == 2
        except BlockedAddress:
            assert found.pop() not in PUBLIC
        assert internet.dialled == found
        assert len(internet.host.seen) == len(found)
        assert {*found} <= {*PUBLIC}
    assert 200 < fetched < 300


def test_a_name_without_an_address_is_refused(internet: Internet) -> None:
    """A resolver that finds nothing and says so without an error."""
    with pytest.raises(BlockedAddress):
        download(f"http://{internet.name('empty.test')}/a.mp3")


def test_a_url_is_checked_before_it_is_fetched() -> None:
    """Whoever passes it on learns of a malformed URL without a connection."""
    for url in ("http://", "http://\ud800.test/", "http://host:0/", "http://a\\b/"):
        with pytest.raises(InvalidUrl) as caught:
            Web(url, max_bytes=1, timeout_s=1)
        str(caught.value).encode()
        assert isinstance(caught.value, WorkerError)
