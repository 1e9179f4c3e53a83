"""Fetching, whatever the place: a private folder, one deadline, no secret in a message."""

from __future__ import annotations

import traceback
from pathlib import Path

import pytest

from core import errors
from core.domain.request import LocalFile
from core.errors import InvalidUrl, WorkerError
from core.media import fetch
from core.settings import Settings
from tests import media
from tests.core.media.sources import BODY, S3, get, refused, sends


@pytest.mark.parametrize(
    "url",
    [
        "file:///etc/passwd", "file:/etc/passwd", "ftp://example.org/a.mp3",
        "gopher://example.org/1", "blob:https://example.org/1",
        "javascript:alert(1)", "http:", "http://", "http:///a.mp3", "https://:443/",
        "http://host:99999/", "http://host:0/", "http://[::1/",
        "http://good.example\\@127.0.0.1/", "http://ho st/a.mp3", "http://host/\x00",
    ],
)  # fmt: skip
def test_a_malformed_url_is_invalid(url: str, tmp_path: Path) -> None:
    """So is one with a scheme that is not fetched."""
    refused(InvalidUrl, url, tmp_path)


def test_a_local_file_stays_where_it_is(tmp_path: Path) -> None:
    """It is neither copied nor changed."""
    path = tmp_path / "call.wav"
    path.write_bytes(BODY)
    settings = Settings(max_audio_bytes=len(BODY))
    (tmp_path / "job").mkdir()
    assert fetch.fetch(LocalFile(path), tmp_path / "job", settings=settings) == path
    assert list((tmp_path / "job").iterdir()) == []
    assert path.read_bytes() == BODY


@pytest.mark.parametrize(
    ("content", "error"),
    [(None, errors.DownloadFailed), (b"", errors.EmptyAudio), (b"123", errors.SourceTooLarge)],
    ids=["missing", "empty", "large"],
)
def test_a_local_file_that_cannot_be_used_is_refused(
    content: bytes | None, error: type[WorkerError], tmp_path: Path
) -> None:
    """Before it is decoded, and before it is passed on; no message has its path."""
    path = tmp_path / "call.wav"
    if content is not None:
        path.write_bytes(content)
    settings = Settings(max_audio_bytes=2)
    for use in (
        lambda source: fetch.fetch(source, tmp_path, settings=settings),
        lambda source: fetch.check(source, settings),
    ):
        with pytest.raises(error) as raised:
            use(LocalFile(path))
        assert str(tmp_path) not in str(raised.value)
        assert str(tmp_path) not in repr(LocalFile(path))


@pytest.mark.usefixtures("private")
def test_no_message_holds_a_secret(
    host: media.Host, store: media.Store, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Neither a path, nor a query, nor a user, nor a key: not in the sentence, not in the
    traceback and not in the log.
    """
    store.fail("recordings", "canary-path", 403, "AccessDenied")
    base = f"http://canary-user:canary-password@127.0.0.1:{host.server_port}"
    secret = "canary-path?X-Amz-Signature=canary-signature"
    host.answers |= {
        f"/{secret}": media.status(403),
        f"/loop/{secret}": media.redirects(f"/loop/{secret}"),
        f"/away/{secret}": media.redirects(f"http://169.254.169.254/{secret}"),
        f"/file/{secret}": media.redirects(f"file:///{secret}"),
        f"/cut/{secret}": lambda visit: visit.head(200, {"Content-Length": "9"}),
        f"/large/{secret}": media.gives(BODY),
        f"/header/{secret}": sends(b"HTTP/1.1 404 No\r\ncanary header\r\nA: b\r\n\r\n"),
        f"/framing/{secret}": sends(b"canary answer\r\n\r\n"),
    }
    urls = [f"{base}{path}" for path in (*host.answers, "/missing/" + secret)]
    urls += [
        f"http://canary-user:canary-password@127.0.0.1:1/{secret}",
        f"http://canary-user@nobody.invalid/{secret}",
        f"ftp://x/{secret}",
    ]
    urls += [
        "s3://recordings/canary-path",
        f"s3://recordings/missing/{secret}",
        "canary-not-base64-at-all!",
        f"http://[canary-path/{secret}",
    ]
    for url in urls:
        with pytest.raises(WorkerError) as caught:
            get(url, tmp_path, max_audio_bytes=1000, s3_endpoint=store.endpoint, **S3)
        said = "".join(traceback.format_exception_only(caught.value)) + chain(caught.value)
        assert "canary" not in said, url
        assert str(tmp_path) not in said, url
    assert "canary" not in caplog.text


def chain(error: BaseException) -> str:
    """Return the messages of a printed traceback, without the lines of source."""
    seen = []
    cause: BaseException | None = error
    while cause is not None:
        seen.append(str(cause))
        cause = cause.__cause__ or (None if cause.__suppress_context__ else cause.__context__)
    return "\n".join(seen)


def test_every_error_of_a_source_is_a_worker_s_error() -> None:
    """It reaches the caller with a code."""
    assert issubclass(errors.SourceError, WorkerError)
