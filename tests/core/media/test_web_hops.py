"""Redirects: followed by hand, each hop as careful as the first."""

from __future__ import annotations

from pathlib import Path

import pytest

from core.errors import BlockedAddress, DownloadFailed, InvalidUrl
from tests import media
from tests.core.media.internet import PUBLIC, Internet
from tests.core.media.sources import BODY, download, drips, get, refused, sends


@pytest.mark.usefixtures("private")
@pytest.mark.parametrize("code", [301, 302, 303, 307, 308])
def test_a_redirect_is_followed(code: int, host: media.Host, tmp_path: Path) -> None:
    """To another path of the same host."""
    host.url("/new", media.gives(BODY))
    assert get(host.url("/old", media.redirects("/new", code)), tmp_path) == BODY


@pytest.mark.usefixtures("private")
def test_a_chain_of_redirects_ends(host: media.Host, tmp_path: Path) -> None:
    """After five hops."""
    url = host.url("/loop", media.redirects("/loop"))
    assert "redirects too often" in refused(DownloadFailed, url, tmp_path)
    assert len(host.seen) == 6


def test_five_redirects_are_followed(internet: Internet) -> None:
    """Every one of them to another host, each looked up once."""
    for hop in range(5):
        internet.host.url(f"/{hop}", media.redirects(f"http://host{hop + 1}.test/{hop + 1}"))
    internet.host.url("/5", media.gives(BODY))
    names = [internet.name(f"host{hop}.test", f"1.1.1.{hop}") for hop in range(6)]
    assert download("http://host0.test/0") == BODY
    assert internet.lookups == names
    assert internet.dialled == [f"1.1.1.{hop}" for hop in range(6)]
    assert [headers["Host"] for _, headers in internet.host.seen] == names


@pytest.mark.usefixtures("private")
@pytest.mark.parametrize("head", [b"", b"Location:\r\n", b"Location: \r\n"])
def test_a_redirect_to_nowhere_is_a_failed_download(
    head: bytes, host: media.Host, tmp_path: Path
) -> None:
    """The host does not say where the file is."""
    url = host.url("/old", sends(b"HTTP/1.1 302 Found\r\nContent-Length: 0\r\n" + head + b"\r\n"))
    assert "or to nowhere" in refused(DownloadFailed, url, tmp_path)


@pytest.mark.usefixtures("private")
@pytest.mark.parametrize(
    ("location", "kind"),
    [
        ("file:///etc/passwd", BlockedAddress),
        ("ftp://127.0.0.1/", BlockedAddress),
        ("http://x:99999/", InvalidUrl),
        ("http://x:0/", InvalidUrl),
        ("http://[::1/", InvalidUrl),
        ("/back\\slash", InvalidUrl),
    ],
)
def test_a_redirect_to_what_is_not_fetched_is_refused(
    location: str, kind: type[Exception], host: media.Host, tmp_path: Path
) -> None:
    """With a code of its own, not as a fault of ours."""
    with pytest.raises(kind, match="give the final URL"):
        get(host.url("/old", media.redirects(location)), tmp_path)


@pytest.mark.usefixtures("private")
@pytest.mark.parametrize(
    ("location", "path"),
    [
        ("/Aufnahme für Jürgen.mp3", "/Aufnahme%20f%C3%BCr%20J%C3%BCrgen.mp3"),
        ("/録音.mp3?名=値", "/%E9%8C%B2%E9%9F%B3.mp3?%E5%90%8D=%E5%80%A4"),
        ("/f%C3%BCr.mp3", "/f%C3%BCr.mp3"),
    ],
)
def test_a_redirect_in_utf_8_is_followed(
    location: str, path: str, host: media.Host, tmp_path: Path
) -> None:
    """Percent-encoded, as browsers do; headers have no encoding of their own."""
    host.url(path, media.gives(BODY))
    url = host.url("/old", media.redirects(location.encode().decode("latin-1")))
    assert get(url, tmp_path) == BODY


@pytest.mark.usefixtures("private")
def test_a_redirect_in_latin_1_is_followed(host: media.Host, tmp_path: Path) -> None:
    """If it cannot be UTF-8."""
    host.url("/f%C3%BCr.mp3", media.gives(BODY))
    assert get(host.url("/old", media.redirects("/für.mp3")), tmp_path) == BODY


def _cookies(internet: Internet) -> list[str | None]:
    return [headers.get("Cookie") for _, headers in internet.host.seen]


def _sets_cookie(location: str, cookie: str) -> media.Answer:
    head = {"Location": location, "Set-Cookie": cookie, "Content-Length": "0"}
    return lambda visit: visit.head(302, head)


@pytest.mark.parametrize("attributes", ["", "; Domain=test", "; Domain=example.test; Path=/"])
def test_a_cookie_goes_to_no_other_host(attributes: str, internet: Internet) -> None:
    """Not even to one that shares its domain."""
    names = [internet.name(f"{letter}.example.test", PUBLIC) for letter in "ab"]
    internet.host.url("/old", _sets_cookie(f"http://{names[1]}/new", "session=1" + attributes))
    internet.host.url("/new", media.gives(BODY))
    assert download(f"http://{names[0]}/old") == BODY
    assert _cookies(internet) == [None, None]


@pytest.mark.parametrize("name", ["a.example.test", PUBLIC, "bücher.test"])
def test_a_cookie_goes_back_to_its_host(name: str, internet: Internet) -> None:
    """In the same download, also over another host; a new download knows nothing of it."""
    internet.name(name.encode("idna").decode(), PUBLIC)
    internet.name("between.test", PUBLIC)
    internet.host.url("/old", _sets_cookie("http://between.test/there", "session=1"))
    back = f"http://{name.encode('idna').decode()}/new"
    internet.host.url("/there", media.redirects(back))
    internet.host.url("/new", media.gives(BODY))
    for _ in range(2):
        assert download(f"http://{name}/old") == BODY
    assert _cookies(internet) == [None, None, "session=1"] * 2


def test_a_password_in_the_url_goes_to_no_other_host(internet: Internet) -> None:
    """It is for the host that it was written for."""
    internet.name("a.test", PUBLIC)
    internet.name("b.test", PUBLIC)
    internet.host.url("/old", media.redirects("http://b.test/new"))
    internet.host.url("/new", media.gives(BODY))
    assert download("http://user:pass@a.test/old") == BODY
    sent = [headers.get("Authorization") for _, headers in internet.host.seen]
    assert sent == ["Basic dXNlcjpwYXNz", None]


def test_the_body_of_a_redirect_is_not_read(internet: Internet) -> None:
    """It may have no end."""
    head = b"HTTP/1.1 302 Found\r\nLocation: /new\r\n\r\n"
    internet.host.url("/old", drips(head, bytes(1_000_000)))
    internet.host.url("/new", media.gives(BODY))
    assert download(f"http://{PUBLIC}/old") == BODY
    assert internet.host.hung_up.wait(10)
