"""Every failure that a caller can read, each with a stable code and a sentence that says what to
do.

    WorkerError
    ├── RequestError            the request is wrong: the same request will fail again
    │   ├── InvalidRequest          invalid_request
    │   ├── InvalidBase64           invalid_base64
    │   ├── UnsupportedLanguage     unsupported_language
    │   └── RangeOutsideAudio       range_outside_audio
    ├── SourceError             the recording could not be had
    │   ├── InvalidUrl              invalid_url
    │   ├── BlockedAddress          blocked_address
    │   ├── DownloadFailed          download_failed        (retryable where the host may recover)
    │   ├── DownloadTimedOut        download_timed_out     (retryable)
    │   ├── StorageNotConfigured    storage_not_configured
    │   └── SourceTooLarge          source_too_large
    ├── AudioError              the recording cannot be used
    │   ├── EmptyAudio              empty_audio
    │   ├── UnsupportedAudio        unsupported_audio
    │   ├── DamagedAudio            damaged_audio
    │   ├── NoAudioTrack            no_audio_track
    │   ├── AudioTooLong            audio_too_long
    │   └── DecodingTimedOut        decoding_timed_out     (retryable, unless the file is to blame)
    ├── ModelError              a model could not be had or used
    │   ├── ModelNotFound           model_not_found
    │   ├── ModelAccessDenied       model_access_denied
    │   ├── OutOfMemory             out_of_memory          (retryable)
    │   └── ModelFailed             model_failed           (retryable; the worker is replaced)
    ├── RemoteError             another endpoint did not do its part of the orchestrator's job
    │   ├── EndpointRefused         endpoint_refused
    │   ├── EndpointUnavailable     endpoint_unavailable   (retryable)
    │   ├── JobFailed               endpoint_failed        (retryable; or the job's own code)
    │   ├── JobExpired              job_expired            (retryable)
    │   └── DeadlineExceeded        deadline_exceeded      (retryable)
    ├── OutputTooLarge              output_too_large
    ├── Cancelled                   cancelled
    ├── InternalError               internal_error         (retryable)
    └── SettingsError               invalid_settings       (stops the worker at start)

Messages never hold a path, a token, a URL's query or a word of the transcript.
"""

from __future__ import annotations


class WorkerError(Exception):
    """The root: something that has a code and a sentence for the caller."""

    code = "internal_error"
    retryable = False
    """The same request may succeed later, or on another worker."""
    refresh_worker = False
    """This process can no longer be trusted."""


class RequestError(WorkerError, ValueError):
    """The request is wrong."""


class InvalidRequest(RequestError):
    """A field is missing, unknown, doubled or of the wrong kind."""

    code = "invalid_request"


class InvalidBase64(RequestError):
    """The text given as base64 is not base64."""

    code = "invalid_base64"


class UnsupportedLanguage(RequestError):
    """The speech model does not know the language asked for."""

    code = "unsupported_language"


class RangeOutsideAudio(RequestError):
    """`start` lies behind the end of the recording."""

    code = "range_outside_audio"


class SourceError(WorkerError):
    """The recording could not be had."""


class InvalidUrl(SourceError, ValueError):
    """The URL is not one that is fetched at all."""

    code = "invalid_url"


class BlockedAddress(SourceError):
    """The URL, or a redirect, leads to an address that is not public."""

    code = "blocked_address"


class DownloadFailed(SourceError, OSError):
    """The host did not give the file."""

    code = "download_failed"

    def __init__(self, message: str, *, retryable: bool = False) -> None:
        super().__init__(message)
        self.retryable = retryable


class DownloadTimedOut(SourceError, TimeoutError):
    """The file did not arrive within the deadline."""

    code = "download_timed_out"
    retryable = True


class StorageNotConfigured(SourceError):
    """An s3 URL was given to a worker that has no S3 settings."""

    code = "storage_not_configured"


class SourceTooLarge(SourceError):
    """More bytes than the worker takes."""

    code = "source_too_large"


class AudioError(WorkerError, ValueError):
    """The recording cannot be used."""


class EmptyAudio(AudioError):
    """No bytes, or no sound in them."""

    code = "empty_audio"


class UnsupportedAudio(AudioError):
    """Not a recording in one of the supported formats."""

    code = "unsupported_audio"


class DamagedAudio(AudioError):
    """A supported format, but it cannot be decoded: cut short or corrupt."""

    code = "damaged_audio"


class NoAudioTrack(AudioError):
    """A video or container without sound."""

    code = "no_audio_track"


class AudioTooLong(AudioError):
    """Longer than MAX_AUDIO_DURATION."""

    code = "audio_too_long"


class DecodingTimedOut(AudioError, TimeoutError):
    """The decoder did not finish in time."""

    code = "decoding_timed_out"
    retryable = True

    def __init__(self, message: str, *, retryable: bool = True) -> None:
        super().__init__(message)
        self.retryable = retryable


class ModelError(WorkerError, RuntimeError):
    """A model could not be had or used."""


class ModelNotFound(ModelError):
    """No place that the worker knows holds the model."""

    code = "model_not_found"


class ModelAccessDenied(ModelError):
    """The model is gated: a token is missing, or its licence was not accepted."""

    code = "model_access_denied"


class OutOfMemory(ModelError):
    """The model ran out of memory on the smallest batch."""

    code = "out_of_memory"
    retryable = True


class ModelFailed(ModelError):
    """The model failed in a way that leaves the process in doubt."""

    code = "model_failed"
    retryable = True
    refresh_worker = True


class RemoteError(WorkerError, RuntimeError):
    """Another endpoint did not do its part of the orchestrator's job."""


class EndpointRefused(RemoteError):
    """The endpoint does not take this request at all: a wrong key, a wrong id."""

    code = "endpoint_refused"


class EndpointUnavailable(RemoteError, ConnectionError):
    """The endpoint cannot be reached, is busy, or answers what makes no sense; also after several
    tries.
    """

    code = "endpoint_unavailable"
    retryable = True


class JobFailed(RemoteError):
    """A job failed in its endpoint.

    It has the code that the worker there gave, and its `retryable`, where there was one.
    """

    code = "endpoint_failed"
    retryable = True

    def __init__(self, message: str, *, code: str = code, retryable: bool = True) -> None:
        super().__init__(message)
        self.code = code
        self.retryable = retryable


class JobExpired(RemoteError):
    """The platform no longer knows the job."""

    code = "job_expired"
    retryable = True


class DeadlineExceeded(RemoteError, TimeoutError):
    """The time for the whole job is over."""

    code = "deadline_exceeded"
    retryable = True


class OutputTooLarge(WorkerError):
    """The answer is larger than the platform carries."""

    code = "output_too_large"


class Cancelled(WorkerError):
    """The caller took the job back."""

    code = "cancelled"


class InternalError(WorkerError):
    """A fault of ours."""

    code = "internal_error"
    retryable = True


class SettingsError(WorkerError, ValueError):
    """An environment variable has a wrong value; the message names it."""

    code = "invalid_settings"
