"""Recordings in S3: objects arrive whole, and every refusal says what to do."""

from __future__ import annotations

import threading
import time
from pathlib import Path

import pytest

from core.errors import (
    Cancelled,
    DownloadFailed,
    DownloadTimedOut,
    InvalidUrl,
    SourceTooLarge,
    StorageNotConfigured,
)
from core.media.bucket import Bucket
from core.settings import Settings
from tests import media
from tests.core.media.sources import BODY, S3, drips, get, refused, sends


def test_an_object_arrives_whole(store: media.Store, tmp_path: Path) -> None:
    """Its key may hold characters that separate the parts of other URLs."""
    store.put("recordings", "2026/a%20%3Fb.mp3", BODY)
    assert get("s3://recordings/2026/a ?b.mp3", tmp_path, s3_endpoint=store.endpoint, **S3) == BODY


def test_a_url_without_a_bucket_means_the_worker_s_own(store: media.Store, tmp_path: Path) -> None:
    """It is written s3:///key."""
    store.put("own", "a.mp3", BODY)
    assert get("s3:///a.mp3", tmp_path, s3_endpoint=store.endpoint, s3_bucket="own", **S3) == BODY


@pytest.mark.parametrize("settings", [{}, {"s3_access_key": "a"}, {"s3_secret_key": "a"}])
def test_a_worker_without_keys_says_which_it_needs(
    settings: dict[str, str], tmp_path: Path
) -> None:
    """Both of them."""
    assert "S3_ACCESS_KEY and S3_SECRET_KEY" in refused(
        StorageNotConfigured, "s3://recordings/a.mp3", tmp_path, **settings
    )


def test_a_url_without_a_bucket_needs_the_worker_s_own(tmp_path: Path) -> None:
    """This worker has none."""
    assert "S3_BUCKET" in refused(StorageNotConfigured, "s3:///a.mp3", tmp_path, **S3)


@pytest.mark.parametrize(
    "url",
    [
        "s3:a",
        "s3://",
        "s3://recordings",
        "s3://recordings/",
        "s3://UP/a",
        "s3://a/a",
        "s3://a b c/a",
        "s3://x@evil.example/a",
        "s3://own/..",
        "s3://own/.",
        "s3://own/../other/a.mp3",
        "s3://own/a/../../other/a.mp3",
        "s3://own/./a.mp3",
        "s3:///../other/a.mp3",
        "s3://own/..\\other\\a.mp3",
        "s3://../a.mp3",
    ],
)
def test_a_malformed_s3_url_is_invalid(url: str, tmp_path: Path) -> None:
    """It has to name a bucket and a key, and the key must not lead out of the bucket."""
    refused(InvalidUrl, url, tmp_path, s3_bucket="own", **S3)


@pytest.mark.parametrize(
    ("code", "name", "words", "retryable"),
    [
        (404, "NoSuchKey", "no such object", False),
        (404, "NoSuchBucket", "no such object", False),
        (403, "AccessDenied", "refused access", False),
        (400, "ExpiredToken", "status 400", False),
        (503, "SlowDown", "status 503", True),
    ],
)
def test_a_refusal_of_the_storage_is_named(
    code: int, name: str, words: str, retryable: bool, store: media.Store, tmp_path: Path
) -> None:
    """The error says whether it makes sense to ask again."""
    store.fail("recordings", "a.mp3", code, name)
    with pytest.raises(DownloadFailed, match=words) as caught:
        get("s3://recordings/a.mp3", tmp_path, s3_endpoint=store.endpoint, **S3)
    assert caught.value.retryable is retryable


def test_no_line_of_the_log_holds_a_key(
    host: media.Host, store: media.Store, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Even if the storage sends a header that cannot be read."""
    bad = b"HTTP/1.1 404 No\r\nno colon\r\nContent-Length: 0\r\n\r\n"
    host.url("/recordings/canary.mp3", sends(bad))
    refused(
        DownloadFailed, "s3://recordings/canary.mp3", tmp_path, s3_endpoint=store.endpoint, **S3
    )
    assert "Failed to parse headers" in caplog.text
    assert "canary" not in caplog.text


def test_wrong_keys_are_refused_by_the_storage(store: media.Store, tmp_path: Path) -> None:
    """The request is signed with those of the settings."""
    store.put("recordings", "a.mp3", BODY)
    stranger = {**S3, "s3_access_key": "stranger"}
    assert "keys" in refused(
        DownloadFailed, "s3://recordings/a.mp3", tmp_path, s3_endpoint=store.endpoint, **stranger
    )


def test_an_object_beyond_the_limit_is_refused(store: media.Store, tmp_path: Path) -> None:
    """Its length is enough to know."""
    store.put("recordings", "a.mp3", BODY)
    refused(
        SourceTooLarge,
        "s3://recordings/a.mp3",
        tmp_path,
        s3_endpoint=store.endpoint,
        max_audio_bytes=1000,
        **S3,
    )


def test_a_storage_that_drips_is_given_up_at_the_deadline(
    host: media.Host, store: media.Store, tmp_path: Path
) -> None:
    """As any other host."""
    host.url("/recordings/a.mp3", drips(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n"))
    refused(
        DownloadTimedOut,
        "s3://recordings/a.mp3",
        tmp_path,
        s3_endpoint=store.endpoint,
        download_timeout=1,
        **S3,
    )


def test_a_storage_that_cannot_be_reached_may_be_tried_again(tmp_path: Path) -> None:
    """Nothing listens on its port."""
    with media.host() as server:
        endpoint = media.Store(server).endpoint
    with pytest.raises(DownloadFailed) as caught:
        get("s3://recordings/a.mp3", tmp_path, s3_endpoint=endpoint, **S3)
    assert caught.value.retryable


def test_a_malformed_endpoint_is_the_operator_s_fault(tmp_path: Path) -> None:
    """The setting is named."""
    assert "S3_ENDPOINT" in refused(
        DownloadFailed, "s3://recordings/a.mp3", tmp_path, s3_endpoint="nonsense", **S3
    )


@pytest.mark.parametrize(
    ("settings", "buckets"),
    [
        ({"s3_bucket": "own"}, {"own"}),
        ({"s3_allowed_buckets": "calls,hearings"}, {"calls", "hearings"}),
        ({"s3_allowed_buckets": "calls", "s3_bucket": "own"}, {"calls", "own"}),
        ({}, {"own", "calls", "hearings", "payroll"}),
    ],
)
def test_callers_read_the_buckets_that_the_operator_names(
    settings: dict[str, str], buckets: set[str], store: media.Store, tmp_path: Path
) -> None:
    """The worker's own bucket is among them; where the operator names none, all are open."""
    for bucket in ("own", "calls", "hearings", "payroll"):
        store.put(bucket, "a.mp3", BODY)
        url = f"s3://{bucket}/a.mp3"
        if bucket in buckets:
            assert get(url, tmp_path, s3_endpoint=store.endpoint, **settings, **S3) == BODY
        else:
            assert "S3_ALLOWED_BUCKETS" in refused(
                StorageNotConfigured, url, tmp_path, s3_endpoint=store.endpoint, **settings, **S3
            )


def test_a_bucket_that_is_not_allowed_is_not_asked(
    host: media.Host, store: media.Store, tmp_path: Path
) -> None:
    """The storage sees no request, so its answer tells nobody whether the object exists."""
    refused(
        StorageNotConfigured,
        "s3://payroll/a.mp3",
        tmp_path,
        s3_endpoint=store.endpoint,
        s3_bucket="own",
        **S3,
    )
    assert host.seen == []


@pytest.mark.parametrize("key", ["a..mp3", "..a/b", "a/...", "a//b", "a%2F..%2Fb"])
def test_dots_inside_a_name_are_part_of_the_key(
    key: str, host: media.Host, store: media.Store, tmp_path: Path
) -> None:
    """Only a part that is nothing but one or two dots leads elsewhere."""
    store.put("own", key.replace("%", "%25"), BODY)
    assert get(f"s3://own/{key}", tmp_path, s3_endpoint=store.endpoint, **S3) == BODY


def _without_length(visit: media.Visit) -> None:
    visit.head(200, {"ETag": '"0"'})
    visit.write(BODY)


def _in_chunks(visit: media.Visit) -> None:
    visit.protocol_version = "HTTP/1.1"
    visit.head(200, {"Transfer-Encoding": "chunked", "Connection": "close"})
    for start in range(0, len(BODY), 50_000):
        part = BODY[start : start + 50_000]
        visit.write(b"%x\r\n%b\r\n" % (len(part), part))
    visit.write(b"0\r\n\r\n")
    visit.close_connection = True


@pytest.mark.parametrize("answer", [_without_length, _in_chunks])
def test_a_storage_need_not_say_how_long_an_object_is(
    answer: media.Answer, host: media.Host, store: media.Store, tmp_path: Path
) -> None:
    """The object arrives whole, and the limit on its bytes holds."""
    host.url("/own/a.mp3", answer)
    assert get("s3://own/a.mp3", tmp_path, s3_endpoint=store.endpoint, **S3) == BODY
    refused(
        SourceTooLarge,
        "s3://own/a.mp3",
        tmp_path,
        s3_endpoint=store.endpoint,
        max_audio_bytes=len(BODY) - 1,
        **S3,
    )


@pytest.mark.parametrize("length", [len(BODY) + 1, 10 * len(BODY)])
def test_an_object_that_breaks_off_may_be_tried_again(
    length: int, host: media.Host, store: media.Store, tmp_path: Path
) -> None:
    """The storage promised more bytes than it sent."""
    head = {"Content-Length": str(length)}
    host.url("/own/a.mp3", lambda visit: (visit.head(200, head), visit.write(BODY))[0])
    with pytest.raises(DownloadFailed) as caught:
        get("s3://own/a.mp3", tmp_path, s3_endpoint=store.endpoint, **S3)
    assert caught.value.retryable


@pytest.mark.parametrize(
    ("code", "words"),
    [
        (301, "status 301"),
        (400, "status 400"),
        (403, "refused access"),
        (404, "no such object"),
        (500, "status 500"),
    ],
)
def test_an_endless_error_is_not_read(
    code: int, words: str, host: media.Host, store: media.Store, tmp_path: Path
) -> None:
    """Its first bytes and its status are enough; the storage sees that nobody listens."""
    sent: list[int] = []

    def pours(visit: media.Visit) -> None:
        visit.head(code, {"Content-Type": "application/xml"})
        sent.append(0)
        try:
            while not host.closing.is_set():
                visit.write(b"<" * 65_536)
                sent[-1] += 65_536
        except OSError:
            host.hung_up.set()

    host.url("/own/a.mp3", pours)
    host.url("/own", media.status(404))  # asked for the bucket's region
    assert words in refused(
        DownloadFailed, "s3://own/a.mp3", tmp_path, s3_endpoint=store.endpoint, **S3
    )
    assert host.hung_up.wait(5)
    assert max(sent) < 20_000_000


@pytest.mark.parametrize("head", [b"", b"HTTP/1.1 200 OK\r\n", b"HTTP/1.1 500 No\r\n\r\n<"])
def test_a_read_that_nobody_wants_ends_at_once(
    head: bytes, host: media.Host, store: media.Store, tmp_path: Path
) -> None:
    """Whether the storage is silent, sends headers for ever or an error for ever."""
    host.url("/own/a.mp3", lambda visit: (visit.write(head), visit.drip(b"x-a: b\r\n"))[0])
    begun = time.monotonic()
    with pytest.raises(Cancelled):
        get(
            "s3://own/a.mp3",
            tmp_path,
            lambda: bool(host.seen),
            s3_endpoint=store.endpoint,
            **S3,
        )
    assert _fetching_ends_within(1.0)
    assert time.monotonic() - begun < 5
    assert host.hung_up.wait(1)


def test_a_running_read_ends_when_it_is_cut(
    host: media.Host, store: media.Store, tmp_path: Path
) -> None:
    """The storage sends an object slowly."""
    endless = drips(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000000\r\n\r\n", b"x" * 70_000)
    host.url("/own/a.mp3", endless)
    bucket = Bucket("s3://own/a.mp3", Settings(s3_endpoint=store.endpoint, **S3))
    chunks = bucket.chunks()
    next(chunks)
    begun = time.monotonic()
    threading.Timer(0.3, bucket.cut).start()
    with pytest.raises(DownloadFailed):
        for _ in chunks:
            pass
    assert time.monotonic() - begun < 1.3
    assert host.hung_up.wait(1)


def test_nothing_is_asked_after_a_cut(host: media.Host, store: media.Store, tmp_path: Path) -> None:
    """The cut came before the first connection."""
    bucket = Bucket("s3://own/a.mp3", Settings(s3_endpoint=store.endpoint, **S3))
    bucket.cut()
    with pytest.raises(DownloadFailed):
        next(bucket.chunks())
    assert host.seen == []


def _fetching_ends_within(seconds: float) -> bool:
    threads = [thread for thread in threading.enumerate() if thread.name == "fetch"]
    for thread in threads:
        thread.join(seconds)
    return not any(thread.is_alive() for thread in threads)
