"""Transcribe many recordings, whichever way, each into its files."""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass

from core.domain.request import LocalFile
from core.domain.timeline import Transcript
from core.domain.watch import Watch
from core.errors import Cancelled, InvalidRequest, WorkerError
from handlers.cli.display import Display, Outcome, display_of
from handlers.cli.interruption import INTERRUPTED, interruptible
from handlers.cli.options import Options
from handlers.cli.record import Record
from handlers.cli.sources import Item, items
from handlers.cli.ways import Way, chosen
from handlers.cli.written import file_of, write

_LOOK_S = 0.1


def transcribe(options: Options) -> int:
    """Transcribe all recordings and return the exit code.

    Raise InvalidRequest if a source or a known speaker's file does not exist, SettingsError.
    """
    _keep_quiet()
    _check_voices(options)
    found = items(options.sources)
    way = chosen(options)
    options.out.mkdir(parents=True, exist_ok=True)
    record = Record(options.out, options.question, way.name)
    with display_of(options) as display:
        batch = _Batch(options, way, record, display)
        return batch.run(found)


def _check_voices(options: Options) -> None:
    for one in options.question.known:
        if isinstance(one.audio, LocalFile) and not one.audio.path.is_file():
            raise InvalidRequest(f"--known {one.name}={one.audio.path}: there is no such file")


def _keep_quiet() -> None:
    """Leave standard error to the bars: what fails is told, and nothing else matters here."""
    logging.basicConfig(level=logging.ERROR)
    os.environ.setdefault("NEMO_LOG_LEVEL", "ERROR")
    for library in ("httpx2", "stamina", "parakeet"):
        logging.getLogger(library).setLevel(logging.CRITICAL)


@dataclass(slots=True)
class _Batch:
    options: Options
    way: Way
    record: Record
    display: Display

    def run(self, found: Sequence[Item]) -> int:
        """Work on several at a time until all are done, or until Ctrl-C."""
        stopped = threading.Event()
        missing = [item for item in found if not self._is_done(item)]
        kept = [item for item in missing if self._would_replace(item)]
        with ThreadPoolExecutor(self.options.jobs) as pool, interruptible(stopped):
            working = {
                pool.submit(self._work, item, stopped): item for item in missing if item not in kept
            }
            try:
                outcomes = self._collect(working, stopped)
            except KeyboardInterrupt:
                for future in working:
                    future.cancel()
                self.display.say("interrupted; what is being worked on is given up")
                return INTERRUPTED
        self.display.end()
        return int(bool(kept) or any(outcome.error for outcome in outcomes))

    def _is_done(self, item: Item) -> bool:
        if not self.record.is_done(item, self.options.formats):
            return False
        stem = self.options.out / item.place
        files = [file_of(stem, name) for name in self.options.formats]
        self.display.tell(Outcome(item, files=files, is_skipped=True))
        return True

    def _would_replace(self, item: Item) -> bool:
        """Tell of files that are another recording's or somebody else's, which are kept."""
        found = [] if self.options.overwrite else self.record.foreign(item, self.options.formats)
        if found:
            names = " and ".join(str(path) for path in found)
            sentence = f"{names} would be replaced; move it, name another --out, or say --overwrite"
            self.display.tell(Outcome(item, error=("file_exists", sentence)))
        return bool(found)

    def _work(self, item: Item, stopped: threading.Event) -> Transcript:
        if stopped.is_set():
            raise Cancelled("interrupted")
        with self.display.bar(item) as report:
            watch = Watch(report, stopped.is_set)
            return self.way.transcribe(item.source, self.options.question, watch)

    def _collect(
        self, working: dict[Future[Transcript], Item], stopped: threading.Event
    ) -> list[Outcome]:
        """Write what is done as it comes; only this thread writes. Raise KeyboardInterrupt."""
        outcomes = []
        waiting = set(working)
        while waiting:
            # Python sees a signal only between two waits.
            done, waiting = wait(waiting, timeout=_LOOK_S, return_when="FIRST_COMPLETED")
            if stopped.is_set():
                raise KeyboardInterrupt
            for future in done:
                outcomes.append(self._outcome(working[future], future))
                self.display.tell(outcomes[-1])
        return outcomes

    def _outcome(self, item: Item, future: Future[Transcript]) -> Outcome:
        try:
            transcript = future.result()
            recording = item.source.path if isinstance(item.source, LocalFile) else None
            stem = self.options.out / item.place
            files = write(transcript, self.options.formats, stem, recording)
            self.record.note(item, self.options.formats)
        except WorkerError as error:
            return Outcome(item, error=(error.code, str(error)))
        except OSError as error:
            return Outcome(item, error=("disk_failed", error.strerror or type(error).__name__))
        except Exception as error:
            return Outcome(item, error=("internal_error", type(error).__name__))
        return Outcome(item, transcript=transcript, files=files)
