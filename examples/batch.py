"""Transcribe many recordings, a few at a time.

    python -m examples.batch recordings/ https://example.com/one-more.mp3 --out transcripts/ \
        --jobs 8 --format srt
    python -m examples.batch @list.txt --out transcripts/

Folders are searched; @list.txt contains one file or URL per line. A recording with a transcript in
--out is skipped: after an interruption, or once a failure is mended, just run the command again. A
recording that fails does not stop the others; the end lists all failures.
"""

from __future__ import annotations

import argparse
import asyncio
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

from examples.client import Endpoint, Job, JobError
from examples.command import (
    add_endpoint,
    add_speakers,
    add_words,
    as_text,
    asked,
    connect,
    parser,
    start,
    tell,
)
from examples.errors import run_again
from examples.recording import audio_field

_NOT_IN_NAMES = re.compile(r"[^\w.-]+")
RECORDINGS = (
    ".wav",
    ".mp3",
    ".flac",
    ".ogg",
    ".opus",
    ".m4a",
    ".aac",
    ".webm",
    ".mp4",
    ".mov",
    ".mkv",
    ".wma",
    ".amr",
    ".aiff",
)


def main(argv: list[str] | None = None) -> None:
    """Read the command line and run; exit with code 1 if a recording fails."""
    options = parser(__doc__)
    options.fromfile_prefix_chars = "@"
    add_endpoint(options)
    add_words(options)
    add_speakers(options)
    options.add_argument(
        "sources",
        nargs="+",
        metavar="source",
        help="a folder, a file, a URL, or @ and a file that lists them",
    )
    options.add_argument(
        "--out",
        type=Path,
        default=Path("transcripts"),
        help="folder for the transcripts; default: %(default)s",
    )
    options.add_argument("--jobs", type=int, default=4, help="jobs at a time; default: %(default)s")
    start(transcribe(options.parse_args(argv)))


async def transcribe(arguments: argparse.Namespace) -> None:
    """Transcribe the recordings that have no transcript yet, then list the failures."""
    targets = places(
        arguments.sources,
        arguments.out,
        "txt" if arguments.format == "text" else arguments.format.replace("_", "."),
    )
    if not targets:
        sys.exit(f"no recordings found; in folders, files ending with {' '.join(RECORDINGS)} are")
    missing = {source: target for source, target in targets.items() if not target.exists()}
    found = "1 recording" if len(targets) == 1 else f"{len(targets)} recordings"
    tell(f"{found}, {len(targets) - len(missing)} of them done already")
    arguments.out.mkdir(parents=True, exist_ok=True)
    async with connect(arguments.endpoint, arguments.base_url) as endpoint:
        failures = await Batch(endpoint, asked(arguments)).run(missing, arguments.jobs)
    if failures:
        sys.exit(
            "\n".join(
                [
                    f"{len(failures)} failed:",
                    *(f"  {shown(source)}: {reason}" for source, reason in failures.items()),
                ]
            )
        )


class Batch:
    """Transcribes recordings into files."""

    def __init__(self, endpoint: Endpoint, fields: Job) -> None:
        """`fields` are those of every request, but for the recording."""
        self._endpoint, self._fields = endpoint, fields
        self._failures: dict[str, str] = {}

    async def run(self, targets: dict[str, Path], jobs: int) -> dict[str, str]:
        """Transcribe each source into its file, `jobs` at a time; return why any failed."""
        waiting = iter(targets.items())
        try:
            async with asyncio.TaskGroup() as group:
                for _ in range(jobs):
                    group.create_task(self._work(waiting))
        except ExceptionGroup as errors:
            raise errors.exceptions[0] from None
        return self._failures

    async def _work(self, waiting: Iterator[tuple[str, Path]]) -> None:
        for source, target in waiting:
            try:
                await self._one(source, target)
                tell(f"{shown(source)} → {target}")
            except JobError as error:
                if error.code == "endpoint_refused":  # as all the others will be
                    raise
                self._fail(source, str(error))
            except OSError as error:
                self._fail(source, error.strerror or type(error).__name__)

    def _fail(self, source: str, reason: str) -> None:
        self._failures[source] = reason
        tell(f"{shown(source)} failed")

    async def _one(self, source: str, target: Path) -> None:
        audio = await asyncio.to_thread(audio_field, source)
        output = await run_again(self._endpoint, {**audio, **self._fields})
        half = target.with_name(f".{target.name}.part")  # a file of the final name is complete
        half.write_text(as_text(output, self._fields["response_format"]), encoding="utf-8")
        half.replace(target)


def places(sources: list[str], out: Path, suffix: str) -> dict[str, Path]:
    """Return the file for each recording's transcript; exit if two share one."""
    targets: dict[str, Path] = {}
    taken: dict[Path, str] = {}
    for source, name in named(sources):
        target = out / f"{_NOT_IN_NAMES.sub('_', name)[-80:]}.{suffix}"
        if taken.setdefault(target, source) != source:
            sys.exit(
                f"{shown(taken[target])} and {shown(source)} would both become {target}; "
                "transcribe them into different folders"
            )
        targets[source] = target
    return targets


def named(sources: list[str]) -> Iterator[tuple[str, str]]:
    """Yield all recordings, each with the name that its transcript gets.

    That is the path in the folder, the URL's host and path, or the name of the file.
    """
    for source in filter(None, map(str.strip, sources)):
        if "://" in source:
            yield source, urlsplit(source).netloc + urlsplit(source).path
        elif Path(source).is_dir():
            found = sorted(
                path for path in Path(source).rglob("*") if path.suffix.lower() in RECORDINGS
            )
            yield from ((str(path), str(path.relative_to(source))) for path in found)
        else:
            yield source, Path(source).name


def shown(source: str) -> str:
    """Return a source without the query of a URL, which may contain a secret signature."""
    return source.partition("?")[0] if "://" in source else source


if __name__ == "__main__":
    main()
