"""Put an answer where its caller said: at a presigned URL, or into a bucket.

The place is a stranger's, so it is reached as a recording's is: by the same guard, with one
deadline, and with no secret in a message.
"""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol

from core.domain.request import Destination
from core.domain.stored import Stored
from core.domain.watch import IsCancelled
from core.errors import InvalidUrl, SourceError, UploadFailed
from core.media.bucket_place import BucketPlace
from core.media.deadline import Task, run_within
from core.media.guarded import Reach
from core.media.web_place import WebPlace
from core.settings import Settings

_PAUSES_S = (1.0, 4.0)
"""Between tries: the work is done and paid for."""


class Place(Protocol):
    """A place for an answer."""

    @property
    def shown(self) -> str:
        """Its URL without anything secret."""
        ...

    def look(self) -> None:
        """Raise whatever can be known before there is an answer."""
        ...

    def put(self, body: bytes) -> None:
        """Write the answer over whatever is there; raise UploadFailed, SourceError."""
        ...

    def cut(self) -> None:
        """Make a `put` that runs in another thread end soon."""
        ...


class Delivery:
    """The delivery of one answer; whatever is wrong with its place is said before the work."""

    def __init__(self, destination: Destination, settings: Settings) -> None:
        """Raise InvalidUrl, StorageNotConfigured."""
        self._timeout_s = settings.download_timeout
        self._stopped = threading.Event()
        with _about_the_output():
            self._place = _place(destination, settings)

    def look(self, cancelled: IsCancelled) -> None:
        """Look the host up; raise BlockedAddress, InvalidUrl, UploadFailed, Cancelled."""
        with _about_the_output():
            run_within(
                self._timeout_s,
                Task("upload", "its host was looked up", self._place.look, _nothing, self._late),
                cancelled,
            )

    def put(self, body: bytes, cancelled: IsCancelled) -> Stored:
        """Put an answer there, again if that may help.

        Raise UploadFailed, BlockedAddress, InvalidUrl, Cancelled.
        """

        def stop() -> None:
            self._stopped.set()
            self._place.cut()

        task = Task("upload", "the answer was sent", lambda: self._put(body), stop, self._late)
        with _about_the_output():
            run_within(self._timeout_s, task, cancelled)
        return Stored(self._place.shown, len(body), hashlib.sha256(body).hexdigest())

    def _put(self, body: bytes) -> None:
        for pause_s in _PAUSES_S:
            try:
                return self._place.put(body)
            except UploadFailed as error:
                if not error.retryable or self._stopped.wait(pause_s):
                    raise
        return self._place.put(body)

    def _late(self) -> UploadFailed:
        return UploadFailed(
            f"the answer could not be put at output_url within {self._timeout_s:g} s; try again, "
            "or take a closer host",
            retryable=True,
        )


def _place(destination: Destination, settings: Settings) -> Place:
    if destination.scheme in ("http", "https"):
        return WebPlace(
            destination.value, timeout_s=settings.download_timeout, reach=Reach.of(settings)
        )
    if destination.scheme == "s3":
        return BucketPlace(destination.value, settings)
    raise InvalidUrl("give a presigned http(s):// URL that takes a PUT, or s3://bucket/key")


def _nothing() -> None:
    pass


@contextmanager
def _about_the_output() -> Iterator[None]:
    """Say which of a request's URLs an error is about."""
    try:
        yield
    except SourceError as error:
        raise type(error)(f"output_url: {error}") from None
