"""Recordings in S3: objects arrive whole, and every refusal says what to do."""

from __future__ import annotations

from pathlib import Path

import pytest

from core.errors import (
    DownloadFailed,
    DownloadTimedOut,
    InvalidUrl,
    SourceTooLarge,
    StorageNotConfigured,
)
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
    ],
)
def test_a_malformed_s3_url_is_invalid(url: str, tmp_path: Path) -> None:
    """It has to name a bucket and a key."""
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
