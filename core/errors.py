"""Every failure that a caller can read, with a stable code and a sentence of advice.

    WorkerError
    ├── RequestError            the request is wrong: the same request will fail again
    │   ├── InvalidRequest          invalid_request
    │   ├── InvalidBase64           invalid_base64
    │   ├── UnsupportedLanguage     unsupported_language
    │   └── RangeOutsideAudio       range_outside_audio
    ├── SourceError             the recording could not be fetched
    │   ├── InvalidUrl              invalid_url
    │   ├── BlockedAddress          blocked_address
    │   ├── DownloadFailed          download_failed        (retryable if the host may recover)
    │   ├── DownloadTimedOut        download_timed_out     (retryable)
    │   ├── StorageNotConfigured    storage_not_configured
    │   └── SourceTooLarge          source_too_large
    ├── AudioError              the recording cannot be used
    │   ├── EmptyAudio              empty_audio
    │   ├── UnsupportedAudio        unsupported_audio
    │   ├── DamagedAudio            damaged_audio
    │   ├── NoAudioTrack            no_audio_track
    │   ├── AudioTooLong            audio_too_long
    │   ├── VoiceTooShort           voice_too_short
    │   └── DecodingTimedOut        decoding_timed_out     (retryable, unless the file is to blame)
    ├── ModelError              a model could not be loaded or used
    │   ├── ModelNotFound           model_not_found
    │   ├── ModelAccessDenied       model_access_denied
    │   ├── OutOfMemory             out_of_memory          (retryable)
    │   └── ModelFailed             model_failed           (retryable; the worker is replaced)
    ├── RemoteError             an endpoint failed to do its part of the orchestrator's job
    │   ├── EndpointRefused         endpoint_refused
    │   ├── EndpointUnavailable     endpoint_unavailable   (retryable)
    │   ├── JobFailed               endpoint_failed        (retryable; or the job's own code)
    │   ├── JobExpired              job_expired            (retryable)
    │   └── DeadlineExceeded        deadline_exceeded      (retryable)
    ├── DiskFailed              disk_failed            (if retryable: disk_full)
    ├── OutputTooLarge              output_too_large
    ├── UploadFailed                upload_failed          (if retryable: upload_interrupted)
    ├── Cancelled                   cancelled
    ├── InternalError               internal_error         (retryable)
    └── SettingsError               invalid_settings       (stops the worker at start)

Whether the same request may succeed later can be seen from the code alone: see `core.domain.codes`.
Messages never contain a path, a token, a URL's query or a word of the transcript.
"""

from __future__ import annotations


class WorkerError(Exception):
    """The root of the tree: a failure with a code and a sentence for the caller."""

    code = "internal_error"
    retryable = False
    """True if the same request may succeed later, or on another worker."""
    refresh_worker = False
    """True if this process can no longer be trusted."""


class _PerhapsRetryable(Exception):
    """A failure that has a second code if it may pass."""

    code: str
    code_if_retryable: str
    retryable: bool

    def __init__(self, message: str, *, retryable: bool = False) -> None:
        super().__init__(message)
        self.retryable = retryable
        if retryable:
            self.code = self.code_if_retryable


class RequestError(WorkerError, ValueError):
    """The request is wrong."""


class InvalidRequest(RequestError):
    """A field is missing, unknown, duplicated or of the wrong type."""

    code = "invalid_request"


class InvalidBase64(RequestError):
    """The text given as base64 is not base64."""

    code = "invalid_base64"


class UnsupportedLanguage(RequestError):
    """The speech model does not know the language asked for."""

    code = "unsupported_language"


class RangeOutsideAudio(RequestError):
    """`start` is after the end of the recording."""

    code = "range_outside_audio"


class SourceError(WorkerError):
    """The recording could not be fetched."""


class InvalidUrl(SourceError, ValueError):
    """The URL is not of a kind that workers fetch."""

    code = "invalid_url"


class BlockedAddress(SourceError):
    """The URL, or a redirect, leads to an address that is not public."""

    code = "blocked_address"


class DownloadFailed(_PerhapsRetryable, SourceError, OSError):
    """The host did not deliver the file; if it may do so later, the code is another."""

    code = "download_failed"
    code_if_retryable = "download_interrupted"


class DownloadTimedOut(SourceError, TimeoutError):
    """The file did not arrive within the deadline."""

    code = "download_timed_out"
    retryable = True


class StorageNotConfigured(SourceError):
    """The request has an s3 URL, but the worker has no S3 settings."""

    code = "storage_not_configured"


class SourceTooLarge(SourceError):
    """The file has more bytes than the worker takes."""

    code = "source_too_large"


class AudioError(WorkerError, ValueError):
    """The recording cannot be used."""


class EmptyAudio(AudioError):
    """The file has no bytes, or no sound."""

    code = "empty_audio"


class UnsupportedAudio(AudioError):
    """The file is not a recording in a supported format."""

    code = "unsupported_audio"


class DamagedAudio(AudioError):
    """The recording cannot be decoded: it is cut short or corrupt."""

    code = "damaged_audio"


class NoAudioTrack(AudioError):
    """The file has no sound track."""

    code = "no_audio_track"


class AudioTooLong(AudioError):
    """The recording is longer than MAX_AUDIO_DURATION."""

    code = "audio_too_long"


class VoiceTooShort(AudioError):
    """The recording of a known speaker's voice has no speech, or too little."""

    code = "voice_too_short"


class DecodingTimedOut(AudioError, TimeoutError):
    """The decoder did not finish in time."""

    code = "decoding_timed_out"
    retryable = True

    def __init__(self, message: str, *, retryable: bool = True) -> None:
        super().__init__(message)
        self.retryable = retryable


class ModelError(WorkerError, RuntimeError):
    """A model could not be loaded or used."""


class ModelNotFound(ModelError):
    """The model is in none of the places that the worker searches."""

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
    """An endpoint failed to do its part of the orchestrator's job."""


class EndpointRefused(RemoteError):
    """The endpoint will never take this request: the key or the id is wrong."""

    code = "endpoint_refused"


class EndpointUnavailable(RemoteError, ConnectionError):
    """The endpoint is unreachable, overloaded or answers nonsense, even after retries."""

    code = "endpoint_unavailable"
    retryable = True


class JobFailed(RemoteError):
    """A job failed in its endpoint.

    The code and `retryable` are those of the worker there, if it sent them.
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


class DiskFailed(_PerhapsRetryable, WorkerError, OSError):
    """The worker cannot keep the recording on its disk; if that may pass, the code is another."""

    code = "disk_failed"
    code_if_retryable = "disk_full"


class OutputTooLarge(WorkerError):
    """The answer is larger than the platform carries."""

    code = "output_too_large"


class UploadFailed(_PerhapsRetryable, WorkerError, OSError):
    """The answer could not be put at `output_url`; if that may pass, the code is another."""

    code = "upload_failed"
    code_if_retryable = "upload_interrupted"


class Cancelled(WorkerError):
    """The caller cancelled the job."""

    code = "cancelled"


class InternalError(WorkerError):
    """A bug in the worker."""

    code = "internal_error"
    retryable = True


class SettingsError(WorkerError, ValueError):
    """An environment variable has a wrong value; the message names it."""

    code = "invalid_settings"
