"""What the server counts, in the form that Prometheus reads."""

from __future__ import annotations

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    ProcessCollector,
    disable_created_metrics,
    generate_latest,
)

from core.domain.request import Recording
from core.domain.timeline import Transcript
from handlers.openai.seats import Seats
from handlers.openai.uploads import Uploads

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
_FACTORS = (0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1.0, 3.0)


class Metrics:
    """The figures of one server."""

    def __init__(self, seats: Seats, uploads: Uploads) -> None:
        disable_created_metrics()  # type: ignore[no-untyped-call]
        registry = self._registry = CollectorRegistry()
        ProcessCollector(registry=registry)
        self._jobs = Counter("parakeet_jobs", "Transcripts made", registry=registry)
        self._audio = Counter("parakeet_audio_seconds", "Sound transcribed", registry=registry)
        self._work = Counter(
            "parakeet_work_seconds", "Time in which transcripts were made", registry=registry
        )
        self._factor = Histogram(
            "parakeet_real_time_factor",
            "Seconds of work for a second of sound",
            buckets=_FACTORS,
            registry=registry,
        )
        self._errors = Counter("parakeet_errors", "Errors answered", ["code"], registry=registry)
        self._gone = Counter(
            "parakeet_disconnects", "Callers that hung up before the end", registry=registry
        )
        working = Gauge("parakeet_working", "Requests worked on", registry=registry)
        waiting = Gauge("parakeet_queue", "Requests that wait", registry=registry)
        working.set_function(lambda: seats.working)
        waiting.set_function(lambda: seats.waiting)
        receiving = Gauge("parakeet_uploads", "Requests that are received", registry=registry)
        receiving.set_function(lambda: uploads.receiving)

    def done(self, recording: Recording, transcript: Transcript, work_s: float) -> None:
        """Count a transcript that took so many seconds of work."""
        audio_s = max(0.0, transcript.duration - recording.range.start)
        self._jobs.inc()
        self._audio.inc(audio_s)
        self._work.inc(work_s)
        if audio_s:
            self._factor.observe(work_s / audio_s)

    def failed(self, code: str) -> None:
        """Count an error."""
        self._errors.labels(code).inc()

    def gone(self) -> None:
        """Count a caller that hung up."""
        self._gone.inc()

    def text(self) -> bytes:
        """Return all figures."""
        return generate_latest(self._registry)
