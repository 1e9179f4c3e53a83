"""One object in S3 or in a store that speaks its protocol, whether it is read or written."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from typing import Any

from core.domain.http_status import is_transient
from core.errors import InvalidUrl, StorageNotConfigured, WorkerError
from core.media.connections import Connections
from core.media.origin import keep_urls_out_of_the_log
from core.settings import BUCKET_NAME, Settings


class StoredObject:
    """An object in S3: `s3://bucket/key`, or `s3:///key` in the bucket of the settings.

    Subclasses say what is done with it, and which errors tell of its failure.
    """

    MISSING = "no such object; check the bucket and the key in the URL"
    """What is wrong when the store answers that something does not exist."""

    def __init__(self, url: str, settings: Settings) -> None:
        """Raise StorageNotConfigured, InvalidUrl."""
        if settings.s3_access_key is None or settings.s3_secret_key is None:
            raise StorageNotConfigured(
                "s3:// needs S3_ACCESS_KEY and S3_SECRET_KEY on the worker; set them, or give a "
                "presigned https:// URL"
            )
        self._bucket, self._key = _parts(url, settings.s3_bucket)
        self._endpoint = settings.s3_endpoint
        self._keys = (
            settings.s3_access_key.get_secret_value(),
            settings.s3_secret_key.get_secret_value(),
        )
        self._connections = Connections()

    def failed(self, sentence: str, *, retryable: bool = False) -> WorkerError:
        """Return the error of a store that does not do its part."""
        raise NotImplementedError

    def cut(self) -> None:
        """Break the connection off under whoever uses it."""
        self._connections.cut()

    @contextmanager
    def client(self) -> Iterator[Any]:
        """Yield boto3's client; replace errors of the libraries by ours: theirs hold the URL."""
        # botocore takes a while to import, and few jobs need S3.
        from botocore import exceptions as failures
        from urllib3.exceptions import HTTPError

        from core.media.storage_client import storage_client

        broken = (
            failures.ConnectionError,
            failures.HTTPClientError,
            failures.IncompleteReadError,
            failures.FlexibleChecksumError,
            HTTPError,
        )
        keep_urls_out_of_the_log()
        try:
            yield storage_client(self._endpoint, *self._keys, self._connections)
        except failures.ClientError as error:
            raise self._refusal(error.response["ResponseMetadata"]["HTTPStatusCode"]) from None
        except broken:
            raise self.failed(
                "the connection to the S3 storage failed or broke off; try again", retryable=True
            ) from None
        except (failures.BotoCoreError, ValueError):
            raise self.failed(
                "the S3 storage cannot be used; check S3_ENDPOINT and the URL"
            ) from None
        finally:
            self._connections.close()

    def _refusal(self, status: int) -> WorkerError:
        if status in (401, 403):
            return self.failed(
                "the S3 storage refused access to the object; check the S3 settings' keys and the "
                "URL"
            )
        if status == 404:
            return self.failed(f"the S3 storage has {self.MISSING}")
        retryable = is_transient(status)
        advice = "try again later" if retryable else "check S3_ENDPOINT and the URL"
        return self.failed(
            f"the S3 storage answered with HTTP status {status}; {advice}", retryable=retryable
        )


def check_allowed(bucket: str, allowed: Collection[str], *, verb: str, setting: str) -> None:
    """Raise StorageNotConfigured for a bucket that the operator does not open to callers."""
    if bucket not in allowed:
        raise StorageNotConfigured(
            f"the worker does not {verb} the bucket {bucket}; whoever runs it can add it to "
            f"{setting}"
        )


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
