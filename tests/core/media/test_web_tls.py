"""TLS: trust is the system's, and the name in the URL is the one that is checked."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from core.errors import BlockedAddress, DownloadFailed, DownloadTimedOut
from tests import media
from tests.core.media.internet import Internet
from tests.core.media.sources import BODY, certify, download, drips, get, refused


@pytest.fixture
def secure(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[media.Host]:
    """A host on loopback that speaks TLS, with a certificate that is trusted."""
    with media.host() as server:
        monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(certify(server, tmp_path)))
        yield server


def _https(url: str) -> str:
    return url.replace("http:", "https:")


@pytest.mark.usefixtures("private")
def test_over_tls_a_file_arrives(secure: media.Host, tmp_path: Path) -> None:
    """From an address as from a name."""
    assert get(_https(secure.url("/a", media.gives(BODY))), tmp_path) == BODY


@pytest.mark.usefixtures("private")
def test_over_tls_a_drip_is_cut_under_the_reader(secure: media.Host, tmp_path: Path) -> None:
    """As without."""
    url = _https(secure.url("/b", drips(b"HTTP/1.1 200 OK\r\n\r\n")))
    refused(DownloadTimedOut, url, tmp_path, download_timeout=0.5)
    assert secure.hung_up.wait(10)


@pytest.mark.usefixtures("private")
def test_a_certificate_that_nobody_signed_is_refused(
    secure: media.Host, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With the certificates that come with the library."""
    monkeypatch.delenv("REQUESTS_CA_BUNDLE")
    refused(DownloadFailed, _https(secure.url("/a", media.gives(BODY))), tmp_path)
    assert secure.seen == []


def test_the_name_of_the_url_is_the_one_that_is_checked(
    secure: media.Host, internet: Internet
) -> None:
    """The connection goes to an address, but certificate, SNI and Host are the name's."""
    asked: list[str | None] = []
    secure.socket.context.sni_callback = lambda _, name, __: asked.append(name)  # type: ignore[attr-defined]
    internet.at_port[443] = secure
    secure.url("/a", media.gives(BODY))
    assert download(f"https://{internet.name('name.test', '1.1.1.1')}/a") == BODY
    assert asked == ["name.test"]
    assert secure.seen[0][1]["Host"] == "name.test"
    assert internet.dialled == ["1.1.1.1"]


def test_a_certificate_of_another_name_is_refused(secure: media.Host, internet: Internet) -> None:
    """Though it leads to the same address."""
    internet.at_port[443] = secure
    with pytest.raises(DownloadFailed, match=r"the connection to other\.test failed"):
        download(f"https://{internet.name('other.test', '1.1.1.1')}/a")
    assert secure.seen == []


def test_a_redirect_from_https_to_http_is_refused(secure: media.Host, internet: Internet) -> None:
    """Anybody on the way could read and change what follows; in the other direction it is fine."""
    internet.at_port[443] = secure
    internet.name("name.test", "1.1.1.1")
    secure.url("/down", media.redirects("http://name.test/a"))
    secure.url("/up", media.gives(BODY))
    internet.host.url("/a", media.gives(b"canary"))
    internet.host.url("/up", media.redirects("https://name.test/up"))
    with pytest.raises(BlockedAddress, match="redirects from https to http"):
        download("https://name.test/down")
    assert internet.host.seen == []
    assert download("http://name.test/up") == BODY
