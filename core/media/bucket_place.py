"""Places for answers in S3, and in stores that speak its protocol."""

from __future__ import annotations

import io

from core.errors import UploadFailed
from core.media.stored_object import StoredObject, check_allowed
from core.settings import Settings


class BucketPlace(StoredObject):
    """A key in a bucket that callers may write to."""

    MISSING = "no such bucket; check output_url"

    def __init__(self, url: str, settings: Settings) -> None:
        """Raise StorageNotConfigured, InvalidUrl."""
        super().__init__(url, settings)
        # Whoever may read recordings may not yet write over them.
        check_allowed(
            self._bucket,
            settings.s3_output_buckets or (),
            verb="write to",
            setting="S3_OUTPUT_BUCKETS",
        )

    def failed(self, sentence: str, *, retryable: bool = False) -> UploadFailed:
        """Return the error of a store that does not take the answer."""
        return UploadFailed(sentence, retryable=retryable)

    @property
    def shown(self) -> str:
        """The URL, with the bucket of the settings if it names none."""
        return f"s3://{self._bucket}/{self._key}"

    def look(self) -> None:
        """Do nothing: the store is the operator's own."""

    def put(self, body: bytes) -> None:
        """Write the answer as the object."""
        with self.client() as client:
            client.put_object(
                Bucket=self._bucket,
                Key=self._key,
                Body=io.BytesIO(body),  # sent in pieces, each with the whole timeout
                ContentType="application/json",
            )
