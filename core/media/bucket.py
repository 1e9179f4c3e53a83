"""Recordings in S3, and in stores that speak its protocol."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import closing
from typing import Any

from core.domain.http_status import is_transient
from core.errors import DownloadFailed, InvalidUrl, StorageNotConfigured
from core.media.origin import (
    CHUNK_BYTES,
    CONNECT_TIMEOUT_S,
    keep_urls_out_of_the_log,
    too_large,
)
from core.settings import Settings

_READ_TIMEOUT_S = 60.0
_BUCKET = re.compile(r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]")
"""AWS's naming rules for general purpose buckets."""
_REGION = re.compile(r"(?:^|[.-])([a-z]{2,3}-[a-z]+-\d+)\.")
"""Requests are signed for a region; AWS, Wasabi, Backblaze and RunPod's volumes name it in their
hosts.
"""


class Bucket:
    """An object in S3 or in a store that speaks its protocol: `s3://bucket/key`, or `s3:///key` in
    the bucket of the settings.
    """

    def __init__(self, url: str, settings: Settings) -> None:
        """Raise StorageNotConfigured, InvalidUrl."""
        # Not urlsplit: a key may hold ? and #.
        bucket, _, self._key = url[len("s3://") :].partition("/")
        if settings.s3_access_key is None or settings.s3_secret_key is None:
            raise StorageNotConfigured(
                "s3:// needs S3_ACCESS_KEY and S3_SECRET_KEY on the worker; set them, or give a "
                "presigned https:// URL"
            )
        if not bucket and not settings.s3_bucket:
            raise StorageNotConfigured(
                "the URL names no bucket and the worker has no S3_BUCKET; give s3://bucket/key"
            )
        self._bucket = bucket or str(settings.s3_bucket)
        if not url[:5].lower() == "s3://" or not self._key or not _BUCKET.fullmatch(self._bucket):
            raise InvalidUrl("not an S3 URL; it must look like s3://bucket/key")
        self._endpoint = settings.s3_endpoint
        self._access_key, self._secret_key = settings.s3_access_key, settings.s3_secret_key
        self._max_bytes = settings.max_audio_bytes

    def chunks(self) -> Iterator[bytes]:
        """Yield the object."""
        from botocore import exceptions as failures

        keep_urls_out_of_the_log()
        try:
            answer = self._client().get_object(Bucket=self._bucket, Key=self._key)
            if answer["ContentLength"] > self._max_bytes:
                raise too_large(self._max_bytes)
            with closing(answer["Body"]) as body:
                yield from body.iter_chunks(CHUNK_BYTES)
        except failures.ClientError as error:
            raise self._refusal(error.response["ResponseMetadata"]["HTTPStatusCode"]) from None
        except (failures.ConnectionError, failures.HTTPClientError):
            raise DownloadFailed(
                "the connection to the S3 storage failed or broke off; try again", retryable=True
            ) from None
        except (failures.BotoCoreError, ValueError):
            raise DownloadFailed(
                "the S3 storage cannot be used; check S3_ENDPOINT and the URL"
            ) from None

    def _client(self) -> Any:
        import boto3
        from botocore.config import Config

        region = _REGION.search(self._endpoint or "")
        config = Config(
            connect_timeout=CONNECT_TIMEOUT_S,
            read_timeout=_READ_TIMEOUT_S,
            retries={"total_max_attempts": 2, "mode": "standard"},
            # Stores other than AWS seldom have a host name per bucket.
            s3={"addressing_style": "path" if self._endpoint else "auto"},
        )
        return boto3.session.Session().client(
            "s3",
            endpoint_url=self._endpoint,
            region_name=region[1] if region else None,
            aws_access_key_id=self._access_key.get_secret_value(),
            aws_secret_access_key=self._secret_key.get_secret_value(),
            config=config,
        )

    def _refusal(self, status: int) -> DownloadFailed:
        if status in (401, 403):
            return DownloadFailed(
                "the S3 storage refused access to the object; check the S3 settings' keys and "
                "the URL"
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

    def cut(self) -> None:
        """Do nothing: the storage is the operator's own, and `fetch` stops taking its chunks."""
