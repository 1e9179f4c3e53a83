"""Recordings in S3, and in stores that speak its protocol."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import closing, contextmanager

from core.domain.http_status import is_transient
from core.errors import DownloadFailed, InvalidUrl, StorageNotConfigured
from core.media.connections import Connections
from core.media.origin import CHUNK_BYTES, keep_urls_out_of_the_log, too_large
from core.settings import BUCKET_NAME, Settings


class Bucket:
    """An object in S3 or in a store that speaks its protocol: `s3://bucket/key`, or `s3:///key` in
    the bucket of the settings.
    """

    def __init__(self, url: str, settings: Settings) -> None:
        """Raise StorageNotConfigured, InvalidUrl."""
        if settings.s3_access_key is None or settings.s3_secret_key is None:
            raise StorageNotConfigured(
                "s3:// needs S3_ACCESS_KEY and S3_SECRET_KEY on the worker; set them, or give a "
                "presigned https:// URL"
            )
        self._bucket, self._key = _parts(url, settings.s3_bucket)
        _check_allowed(self._bucket, settings)
        self._endpoint = settings.s3_endpoint
        self._keys = (
            settings.s3_access_key.get_secret_value(),
            settings.s3_secret_key.get_secret_value(),
        )
        self._max_bytes = settings.max_audio_bytes
        self._connections = Connections()

    def chunks(self) -> Iterator[bytes]:
        """Yield the object."""
        # botocore takes a while to import, and few recordings are in S3.
        from core.media.storage_client import storage_client

        keep_urls_out_of_the_log()
        with self._typed_errors():
            client = storage_client(self._endpoint, *self._keys, self._connections)
            answer = client.get_object(Bucket=self._bucket, Key=self._key)
            # Some stores do not say how long an object is; `fetch` counts its bytes.
            if answer.get("ContentLength", 0) > self._max_bytes:
                raise too_large(self._max_bytes)
            with closing(answer["Body"]) as body:
                yield from body.iter_chunks(CHUNK_BYTES)

    def cut(self) -> None:
        """Break the connection off under the reader."""
        self._connections.cut()

    @contextmanager
    def _typed_errors(self) -> Iterator[None]:
        """Replace errors of the libraries by ours: theirs hold the URL."""
        from botocore import exceptions as failures
        from urllib3.exceptions import HTTPError

        broken = (
            failures.ConnectionError,
            failures.HTTPClientError,
            failures.IncompleteReadError,
            failures.FlexibleChecksumError,
            HTTPError,
        )
        try:
            yield
        except failures.ClientError as error:
            raise _refusal(error.response["ResponseMetadata"]["HTTPStatusCode"]) from None
        except broken:
            raise DownloadFailed(
                "the connection to the S3 storage failed or broke off; try again", retryable=True
            ) from None
        except (failures.BotoCoreError, ValueError):
            raise DownloadFailed(
                "the S3 storage cannot be used; check S3_ENDPOINT and the URL"
            ) from None
        finally:
            self._connections.close()


def _parts(url: str, default_bucket: str | None) -> tuple[str, str]:
    """Return the bucket and the key of a URL."""
    # Not urlsplit: a key may hold ? and #.
    named, _, key = url[len("s3://") :].partition("/")
    bucket = named or default_bucket
    if not bucket:
        raise StorageNotConfigured(
            "the URL names no bucket and the worker has no S3_BUCKET; give s3://bucket/key"
        )
    if url[:5].lower() != "s3://" or not key or not BUCKET_NAME.fullmatch(bucket):
        raise InvalidUrl("not an S3 URL; it must look like s3://bucket/key")
    # A store that tidies paths would leave the bucket.
    if not {".", ".."}.isdisjoint(re.split(r"[/\\]", key)):
        raise InvalidUrl("a part of the S3 key is . or ..; give the key in full")
    return bucket, key


def _check_allowed(bucket: str, settings: Settings) -> None:
    allowed = {*(settings.s3_allowed_buckets or ()), settings.s3_bucket} - {None}
    if allowed and bucket not in allowed:
        raise StorageNotConfigured(
            f"the worker does not read the bucket {bucket}; whoever runs it can add it to "
            "S3_ALLOWED_BUCKETS"
        )


def _refusal(status: int) -> DownloadFailed:
    if status in (401, 403):
        return DownloadFailed(
            "the S3 storage refused access to the object; check the S3 settings' keys and the URL"
        )
    if status == 404:
        return DownloadFailed(
            "the S3 storage has no such object; check the bucket and the key in the URL"
        )
    retryable = is_transient(status)
    advice = "try again later" if retryable else "check S3_ENDPOINT and the URL"
    return DownloadFailed(
        f"the S3 storage answered with HTTP status {status}; {advice}", retryable=retryable
    )
