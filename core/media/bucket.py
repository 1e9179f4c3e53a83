"""Recordings in S3, and in stores that speak its protocol."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing

from core.errors import DownloadFailed
from core.media.origin import CHUNK_BYTES, too_large
from core.media.stored_object import StoredObject, check_allowed
from core.settings import Settings


class Bucket(StoredObject):
    """A recording in a bucket that callers may read."""

    def __init__(self, url: str, settings: Settings) -> None:
        """Raise StorageNotConfigured, InvalidUrl."""
        super().__init__(url, settings)
        allowed = {*(settings.s3_allowed_buckets or ()), settings.s3_bucket} - {None}
        if allowed:
            check_allowed(
                self._bucket,
                {str(bucket) for bucket in allowed},
                verb="read",
                setting="S3_ALLOWED_BUCKETS",
            )
        self._max_bytes = settings.max_audio_bytes

    def failed(self, sentence: str, *, retryable: bool = False) -> DownloadFailed:
        """Return the error of a store that does not deliver."""
        return DownloadFailed(sentence, retryable=retryable)

    def chunks(self) -> Iterator[bytes]:
        """Yield the object."""
        with self.client() as client:
            answer = client.get_object(Bucket=self._bucket, Key=self._key)
            # Some stores do not say how long an object is; `fetch` counts its bytes.
            if answer.get("ContentLength", 0) > self._max_bytes:
                raise too_large(self._max_bytes)
            with closing(answer["Body"]) as body:
                yield from body.iter_chunks(CHUNK_BYTES)
