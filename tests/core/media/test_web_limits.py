"""Hosts that send too much, too slowly or nonsense: no more bytes and no more time than allowed."""

from __future__ import annotations

import gzip
import socket
import threading
import time
import tracemalloc
import zlib
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from functools import cache
from pathlib import Path

import pytest

from core.errors import DownloadFailed, DownloadTimedOut, SourceTooLarge, WorkerError
from core.media.connections import Peer
from tests import media
from tests.core.media.internet import PUBLIC, Internet
from tests.core.media.sources import BODY, EVERYWHERE, download, drips, get, refused, sends

OK = b"HTTP/1.1 200 OK\r\n"
CHUNKED = OK + b"Transfer-Encoding: chunked\r\n\r\n"
LIMIT = 1_000_000


@cache
def _zipped(times: int) -> bytes:
    data = _zipped(times - 1) if times > 1 else bytes(200_000_000)
    return gzip.compress(data, compresslevel=1)


BOMBS: dict[str, Callable[[], bytes]] = {
    "gzip": lambda: _zipped(1),
    "gzip, gzip": lambda: _zipped(2),
    "gzip, gzip, gzip": lambda: _zipped(3),
    "deflate": lambda: zlib.compress(bytes(200_000_000), 1),
}


@pytest.mark.usefixtures("private")
@pytest.mark.parametrize("encoding", BOMBS)
@pytest.mark.parametrize("framing", ["length", "chunked"])
def test_a_compressed_body_counts_as_its_content(
    framing: str, encoding: str, host: media.Host, tmp_path: Path
) -> None:
    """A small body of 200 million zeros is too large, and is never held as a whole."""
    bomb = BOMBS[encoding]()
    assert len(bomb) < LIMIT
    head = OK + f"Content-Encoding: {encoding}\r\n".encode()
    if framing == "length":
        answer = head + f"Content-Length: {len(bomb)}\r\n\r\n".encode() + bomb
    else:
        head += f"Transfer-Encoding: chunked\r\n\r\n{len(bomb):x}\r\n".encode()
        answer = head + bomb + b"\r\n0\r\n\r\n"
    url = host.url("/a.mp3", sends(answer))
    tracemalloc.start()
    try:
        refused(SourceTooLarge, url, tmp_path, max_audio_bytes=LIMIT)
        assert tracemalloc.get_traced_memory()[1] < 20_000_000
    finally:
        tracemalloc.stop()
    assert (tmp_path / "recording").stat().st_size <= LIMIT


@pytest.mark.usefixtures("private")
@pytest.mark.parametrize(
    "head", [OK + b"\r\n", OK + b"Content-Length: nonsense\r\n\r\n", b"HTTP/1.0 200 OK\r\n\r\n"]
)
def test_a_host_that_gives_no_length_is_cut_at_the_limit(
    head: bytes, host: media.Host, tmp_path: Path
) -> None:
    """However much it would send."""
    url = host.url("/a.mp3", drips(head, bytes(100_000)))
    refused(SourceTooLarge, url, tmp_path, max_audio_bytes=300_000)
    assert (tmp_path / "recording").stat().st_size <= 300_000
    assert host.hung_up.wait(10)


@pytest.mark.usefixtures("private")
def test_a_chunked_body_without_an_end_is_cut_at_the_limit(
    host: media.Host, tmp_path: Path
) -> None:
    """Each chunk is small."""
    url = host.url("/a.mp3", drips(CHUNKED, b"2710\r\n" + bytes(10_000) + b"\r\n"))
    refused(SourceTooLarge, url, tmp_path, max_audio_bytes=50_000)
    assert (tmp_path / "recording").stat().st_size <= 50_000


def test_the_limit_holds_for_every_reader(internet: Internet) -> None:
    """Not only for one that writes to a file."""
    internet.host.url("/a.mp3", sends(OK + b"\r\n" + BODY))
    assert download(f"http://{PUBLIC}/a.mp3", max_bytes=len(BODY)) == BODY
    with pytest.raises(SourceTooLarge):
        download(f"http://{PUBLIC}/a.mp3", max_bytes=len(BODY) - 1)


WHOLE = {
    "plain": OK + b"Content-Length: 5\r\n\r\nsound",
    "until the end": OK + b"\r\nsound",
    "chunked": CHUNKED + b"3\r\nsou\r\n2;x=y\r\nnd\r\n0\r\n\r\n",
    "HTTP/1.0": b"HTTP/1.0 200 OK\r\n\r\nsound",
    "line feeds alone": b"HTTP/1.1 200 OK\nContent-Length: 5\n\nsound",
    "more than its length": OK + b"Content-Length: 5\r\n\r\nsoundmore",
    "the same length twice": OK + b"Content-Length: 5\r\nContent-Length: 5\r\n\r\nsound",
    "no length at all": OK + b"Content-Length: -1\r\n\r\nsound",
    "an interim answer": b"HTTP/1.1 100 Continue\r\n\r\n" + OK + b"Content-Length: 5\r\n\r\nsound",
    "a folded header": OK + b"A: b\r\n c\r\nContent-Length: 5\r\n\r\nsound",
    "a header without a colon": OK + b"A\r\nContent-Length: 5\r\n\r\nsound",
    "a chunk's trailer": CHUNKED + b"5\r\nsound\r\n0\r\nA: b\r\n\r\n",
}
BROKEN = {
    "nothing": b"",
    "no status": b"\r\n\r\n",
    "binary": bytes(range(256)),
    "HTTP/0.9": b"sound",
    "HTTP/9.9": b"HTTP/9.9 abc OK\r\n\r\n",
    "a status of four digits": b"HTTP/1.1 2000 OK\r\n\r\n",
    "a status of letters": b"HTTP/1.1 OK\r\n\r\n",
    "a long status line": b"HTTP/1.1 200 " + b"x" * 70_000 + b"\r\n\r\n",
    "a long header": OK + b"A: " + b"x" * 70_000 + b"\r\n\r\n",
    "many headers": OK + b"A: b\r\n" * 200 + b"\r\n",
    "many long headers": OK + (b"A: " + b"x" * 60_000 + b"\r\n") * 120 + b"\r\n",
    "two lengths": OK + b"Content-Length: 5\r\nContent-Length: 6\r\n\r\nsound",
    "less than its length": OK + b"Content-Length: 9\r\n\r\nsound",
    "a chunk that breaks off": CHUNKED + b"9\r\nsound",
    "a chunk without a size": CHUNKED + b"\r\nsound",
    "a chunk of a bad size": CHUNKED + b"zz\r\nsound",
    "a chunk of a negative size": CHUNKED + b"-5\r\nsound\r\n0\r\n\r\n",
    "a chunk of an endless size": CHUNKED + b"f" * 70_000,
    "a chunk of a huge size": CHUNKED + b"f" * 30 + b"\r\nsound",
    "no chunk": CHUNKED,
    "gzip that is none": OK + b"Content-Encoding: gzip\r\nContent-Length: 5\r\n\r\nsound",
    "deflate that is none": OK + b"Content-Encoding: deflate\r\n\r\n" + b"\xff" * 9,
    "gzip too often": OK
    + b"Content-Encoding: "
    + b"gzip," * 9
    + b"gzip\r\n\r\n"
    + gzip.compress(b""),
}


@pytest.mark.usefixtures("private")
@pytest.mark.parametrize("answer", WHOLE.values(), ids=WHOLE)
def test_odd_framing_is_understood(answer: bytes, host: media.Host, tmp_path: Path) -> None:
    """As every other client does."""
    assert get(host.url("/a.mp3", sends(answer)), tmp_path).startswith(b"sound")


@pytest.mark.usefixtures("private")
@pytest.mark.parametrize("answer", BROKEN.values(), ids=BROKEN)
def test_bad_framing_is_a_failed_download(answer: bytes, host: media.Host, tmp_path: Path) -> None:
    """With a code, and never a recording that is only part of one."""
    with pytest.raises(WorkerError) as caught:
        get(host.url("/a.mp3", sends(answer)), tmp_path)
    assert caught.value.code in ("download_failed", "download_interrupted", "invalid_url")


@contextmanager
def _takes_no_time() -> Iterator[None]:
    began = time.monotonic()
    yield
    assert time.monotonic() - began < 5


SLOW: dict[str, media.Answer] = {
    "silence": lambda visit: visit.server.closing.wait(10) and None,
    "silence in the body": lambda visit: (
        visit.write(OK + b"Content-Length: 9\r\n\r\nx"),
        visit.server.closing.wait(10),
    )[0],
    "a body that drips": drips(OK + b"\r\n"),
    "a status line that drips": drips(b"HTTP/1.1 200 "),
    "a header that drips": drips(OK + b"A: "),
    "headers that drip": drips(OK, b"A: b\r\n"),
    "interim answers": drips(b"", b"HTTP/1.1 100 Continue\r\n\r\n"),
    "a chunk that drips": drips(CHUNKED + b"ffffff\r\n"),
    "the size of a chunk that drips": drips(CHUNKED, b"0"),
    "trailers that drip": drips(CHUNKED + b"5\r\nsound\r\n0\r\n", b"A: b\r\n"),
    "a compressed body that drips": drips(OK + b"Content-Encoding: gzip\r\n\r\n", b"\x1f"),
}


@pytest.mark.usefixtures("private")
@pytest.mark.parametrize("answer", SLOW.values(), ids=SLOW)
def test_a_slow_host_is_given_up_at_the_deadline(
    answer: media.Answer, host: media.Host, tmp_path: Path
) -> None:
    """Though no single read of it ever takes long; the connection is closed."""
    with _takes_no_time():
        url = host.url("/a.mp3", answer)
        assert "0.3 s" in refused(DownloadTimedOut, url, tmp_path, download_timeout=0.3)
    assert _no_fetch_is_left()


@pytest.mark.usefixtures("private")
@pytest.mark.parametrize("drop", [b"", b"x", b"\x16\x03\x01\x40\x00"])
def test_a_tls_handshake_without_an_end_is_given_up(drop: bytes, tmp_path: Path) -> None:
    """The host says nothing, nonsense or too little."""
    with closing(socket.create_server(("127.0.0.1", 0))) as server, _takes_no_time():
        url = f"https://127.0.0.1:{server.getsockname()[1]}/a"
        threading.Thread(target=_trickle, args=(server, drop), daemon=True).start()
        with pytest.raises((DownloadTimedOut, DownloadFailed)):
            get(url, tmp_path, download_timeout=0.3)
    assert _no_fetch_is_left()


def _trickle(server: socket.socket, drop: bytes) -> None:
    connection, _ = server.accept()
    with closing(connection):
        connection.sendall(drop)
        connection.recv(1)
        while connection.recv(65_536):
            pass


def _no_fetch_is_left() -> bool:
    """Whether the threads of all downloads have ended, or do so soon."""
    for thread in threading.enumerate():
        if thread.name == "fetch":
            thread.join(2)
    return not any(thread.name == "fetch" for thread in threading.enumerate())


def test_an_address_that_stays_silent_is_given_up(silent: Peer) -> None:
    """The caller is asked to try again."""
    host, port = silent.socket_address
    with _takes_no_time(), pytest.raises(DownloadTimedOut, match="did not answer in time"):
        download(f"http://{host}:{port}/a", timeout_s=0.2, reach=EVERYWHERE)


def test_a_resolver_without_an_answer_is_given_up(internet: Internet, tmp_path: Path) -> None:
    """And when it answers in the end, nothing is connected to."""
    asked = threading.Event()

    def slowly() -> list[str]:
        asked.wait(10)
        return [PUBLIC]

    internet.names["slow.test"] = slowly
    with _takes_no_time():
        refused(DownloadTimedOut, "http://slow.test/a.mp3", tmp_path, download_timeout=0.3)
    asked.set()
    assert _no_fetch_is_left()
    assert internet.dialled == []


def test_a_name_with_a_thousand_addresses_is_tried_a_few_times(
    internet: Internet, tmp_path: Path
) -> None:
    """Eight of them, in the order of the resolver."""
    addresses = [f"1.2.{n // 250}.{n % 250}" for n in range(1000)]
    internet.name("many.test", *addresses)
    internet.closed.update(addresses)
    refused(DownloadFailed, "http://many.test/a.mp3", tmp_path)
    assert internet.dialled == addresses[:8]


def test_an_address_that_does_not_answer_is_passed_over(internet: Internet, tmp_path: Path) -> None:
    """The next one of the name may."""
    internet.name("many.test", "1.1.1.1", "2606:4700:4700::1111", "1.0.0.1")
    internet.closed.update({"1.1.1.1", "2606:4700:4700::1111"})
    internet.host.url("/a.mp3", media.gives(BODY))
    assert get("http://many.test/a.mp3", tmp_path) == BODY
    assert internet.dialled == ["1.1.1.1", "2606:4700:4700::1111", "1.0.0.1"]
