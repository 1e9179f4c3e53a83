"""The web: a file arrives whole or not at all, and every failure says what to do."""

from __future__ import annotations

import logging
import threading
from pathlib import Path

import pytest

from core.errors import BlockedAddress, Cancelled, DownloadFailed, EmptyAudio, SourceTooLarge
from core.media.web import Web
from core.settings import Settings
from tests import media
from tests.core.media.internet import PUBLIC, Internet
from tests.core.media.sources import BODY, EVERYWHERE, SWITCH, drips, get, refused, sends

pytestmark = pytest.mark.usefixtures("private")


def test_a_file_arrives_whole(host: media.Host, tmp_path: Path) -> None:
    """Byte for byte; the host is asked not to compress it."""
    assert get(host.url("/a%20b.mp3?sig=1", media.gives(BODY)), tmp_path) == BODY
    assert host.seen[0][1]["Accept-Encoding"] == "identity"


@pytest.mark.parametrize(
    ("code", "retryable"),
    [
        (400, False), (403, False), (404, False), (410, False), (408, True), (425, True),
        (429, True), (500, True), (503, True), (204, False), (206, False), (304, False),
    ],
)  # fmt: skip
def test_a_status_that_is_not_200_is_named(
    code: int, retryable: bool, host: media.Host, tmp_path: Path
) -> None:
    """The error says whether it makes sense to ask again."""
    url = host.url("/a.mp3", media.status(code))
    with pytest.raises(DownloadFailed, match=f"127.0.0.1 answered with HTTP status {code}") as seen:
        get(url, tmp_path)
    assert seen.value.retryable is retryable


def test_a_closed_port_may_be_tried_again(tmp_path: Path) -> None:
    """A port on which nothing listens."""
    with media.host() as server:
        url = server.url("/a.mp3", media.gives(BODY))
    with pytest.raises(DownloadFailed, match=r"127\.0\.0\.1") as caught:
        get(url, tmp_path)
    assert caught.value.retryable


def test_a_body_that_breaks_off_is_a_failed_download(host: media.Host, tmp_path: Path) -> None:
    """It is not a shorter recording."""
    url = host.url("/a.mp3", sends(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n" + BODY))
    with pytest.raises(DownloadFailed, match="broke off") as caught:
        get(url, tmp_path)
    assert caught.value.retryable


def test_an_empty_body_is_an_empty_recording(host: media.Host, tmp_path: Path) -> None:
    """The upload was not complete."""
    refused(EmptyAudio, host.url("/a.mp3", media.gives(b"")), tmp_path)


def test_a_length_beyond_the_limit_is_refused_at_once(host: media.Host, tmp_path: Path) -> None:
    """Its announced length is enough to know."""
    url = host.url("/a.mp3", media.gives(BODY))
    refused(SourceTooLarge, url, tmp_path, max_audio_bytes=len(BODY) - 1)
    assert (tmp_path / "recording").stat().st_size == 0


def test_a_file_of_exactly_the_limit_arrives(host: media.Host, tmp_path: Path) -> None:
    """The limit itself is allowed."""
    url = host.url("/a.mp3", media.gives(BODY))
    assert get(url, tmp_path, max_audio_bytes=len(BODY)) == BODY


def test_a_job_that_nobody_wants_stops_downloading(host: media.Host, tmp_path: Path) -> None:
    """As soon as it is taken back, and the connection is closed."""
    taken_back = threading.Event()

    def answer(visit: media.Visit) -> None:
        visit.head()
        visit.write(b"x")
        taken_back.set()
        visit.drip(b"x")

    with pytest.raises(Cancelled):
        get(host.url("/a.mp3", answer), tmp_path, taken_back.is_set)
    assert host.hung_up.wait(10)


def test_a_reader_that_stops_closes_the_connection(host: media.Host) -> None:
    """Even if nobody cuts it."""
    url = host.url("/a.mp3", drips(b"HTTP/1.1 200 OK\r\n\r\n", bytes(65_536)))
    chunks = Web(url, max_bytes=10**9, timeout_s=10, reach=EVERYWHERE).chunks()
    assert next(chunks)
    chunks.close()  # type: ignore[attr-defined]
    assert host.hung_up.wait(10)


def test_a_host_without_a_name_is_not_found(tmp_path: Path) -> None:
    """By its name; `.invalid` never resolves (RFC 6761)."""
    assert "nobody.invalid" in refused(DownloadFailed, "http://nobody.invalid/a.mp3", tmp_path)


@pytest.mark.parametrize("port", [1, 22, 25, 79, 81, 444, 3306, 6379, 8080, 65_535])
def test_a_port_that_is_not_the_webs_is_not_connected_to(
    port: int, internet: Internet, tmp_path: Path
) -> None:
    """Whichever service listens there; the error names the port and the setting."""
    said = refused(BlockedAddress, f"http://{PUBLIC}:{port}/a.mp3", tmp_path)
    assert f"port {port} of {PUBLIC}" in said
    assert "ALLOWED_PORTS" in said
    assert internet.dialled == []


@pytest.mark.parametrize(
    "url", [f"http://{PUBLIC}/a", f"http://{PUBLIC}:80/a", f"http://{PUBLIC}:443/a"]
)
def test_the_ports_of_the_web_are_open(url: str, internet: Internet, tmp_path: Path) -> None:
    """Those of http and https, whichever of them a URL names for itself."""
    internet.host.url("/a", media.gives(BODY))
    assert get(url, tmp_path) == BODY


@pytest.mark.parametrize("code", [301, 302, 303, 307, 308])
def test_a_redirect_leads_to_no_other_port(code: int, internet: Internet, tmp_path: Path) -> None:
    """Each hop is looked at, not only the first."""
    internet.host.url("/a", media.redirects(f"http://{PUBLIC}:6379/b", code))
    assert "port 6379" in refused(BlockedAddress, f"http://{PUBLIC}/a", tmp_path)
    assert internet.dialled == [PUBLIC]


@pytest.mark.parametrize(
    ("setting", "port"), [("8080", 8080), ("80, 443, 9000", 9000), ("any", 22)]
)
def test_the_operator_opens_ports(
    setting: str,
    port: int,
    internet: Internet,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """By their numbers, or all of them; the host hears which port was meant."""
    monkeypatch.setenv("ALLOWED_PORTS", setting)
    internet.host.url("/a.mp3", media.gives(BODY))
    assert get(f"http://{PUBLIC}:{port}/a.mp3", tmp_path) == BODY
    assert internet.host.seen[0][1]["Host"] == f"{PUBLIC}:{port}"


def test_a_list_of_ports_is_the_whole_list(
    internet: Internet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without 80 in it, http URLs need another port."""
    monkeypatch.setenv("ALLOWED_PORTS", "443")
    assert "port 80 of" in refused(BlockedAddress, f"http://{PUBLIC}/a.mp3", tmp_path)
    assert internet.dialled == []


@pytest.mark.parametrize("value", ["1", "true", "yes", " True ", "YES"])
def test_the_switch_opens_private_addresses(
    value: str, host: media.Host, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In the spellings that the platform's SDK takes."""
    monkeypatch.setenv(SWITCH, value)
    assert get(host.url("/a.mp3", media.gives(BODY)), tmp_path) == BODY


@pytest.mark.parametrize("value", ["", "0", "false", "on", "y", "2", "enabled", "ture"])
def test_the_switch_in_another_spelling_opens_nothing(
    value: str, host: media.Host, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And is no error either."""
    monkeypatch.setenv(SWITCH, value)
    assert Settings.from_environment().runpod_allow_private_download_urls is False
    refused(BlockedAddress, host.url("/a.mp3", media.gives(BODY)), tmp_path)
    assert host.seen == []


@pytest.mark.usefixtures("public")
@pytest.mark.parametrize("name", ["http_proxy", "HTTP_PROXY", "all_proxy"])
def test_a_proxy_in_the_environment_is_not_used(
    name: str, host: media.Host, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Through it no address could be checked."""
    monkeypatch.setenv(name, host.url("/", media.gives(BODY)))
    assert "exempt it in NO_PROXY" in refused(BlockedAddress, "http://a.invalid/a.mp3", tmp_path)
    assert host.seen == []


def test_a_proxy_is_refused_whatever_the_switch(
    host: media.Host, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It could lead to a metadata service."""
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    assert "proxy" in refused(BlockedAddress, "http://a.invalid/a.mp3", tmp_path)


def test_a_host_that_is_exempt_from_the_proxy_is_fetched(
    host: media.Host, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By NO_PROXY."""
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    assert get(host.url("/a.mp3", media.gives(BODY)), tmp_path) == BODY


def test_passwords_of_the_operator_are_sent_to_nobody(
    host: media.Host, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A `.netrc` is for the operator's own requests; a password in the URL is the caller's."""
    (tmp_path / "netrc").write_text("default login operator password canary\n")
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    url = host.url("/a.mp3", media.gives(BODY))
    get(url, tmp_path)
    get(url.replace("//", "//user:pass@"), tmp_path)
    assert [headers.get("Authorization") for _, headers in host.seen] == [
        None,
        "Basic dXNlcjpwYXNz",
    ]


def test_a_header_that_cannot_be_read_does_not_put_the_url_into_the_log(
    host: media.Host, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Nor what the host sent; not even at the lowest level."""
    caplog.set_level(logging.DEBUG)
    bad = (
        b"HTTP/1.1 200 OK\r\nA: b\r\ncanary line without a colon\r\nContent-Length: 5\r\n\r\nsound"
    )
    get(host.url("/canary?X-Amz-Signature=canary", sends(bad)), tmp_path)
    assert "Failed to parse headers" in caplog.text
    assert "canary" not in caplog.text
