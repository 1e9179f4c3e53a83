"""What the options of `transcribe` mean."""

from __future__ import annotations

import argparse
import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

from core.domain.request import Channels, Edits, KnownSpeaker, LocalFile, SpeakerCount
from core.errors import InvalidRequest
from core.wire.limits import MAX_KNOWN_SPEAKERS, MAX_SPEAKERS

FORMATS = ("srt", "vtt", "txt", "json", "rttm", "html")
MOST_JOBS = 64


@dataclass(frozen=True, slots=True)
class Question:
    """What is asked about every recording."""

    language: str | None = None
    speakers: SpeakerCount | None = field(default_factory=SpeakerCount)
    """None for words alone."""
    channels: Channels = Channels.MIX
    """If split, the channels are the speakers, whatever `speakers` says."""
    known: tuple[KnownSpeaker, ...] = ()
    """Each with a file of this disk."""
    keyterms: tuple[str, ...] = ()
    edits: Edits = field(default_factory=Edits)

    @property
    def is_split(self) -> bool:
        """Whether channels are speakers."""
        return self.channels is Channels.SPLIT


@dataclass(frozen=True, slots=True)
class Options:
    """The options of `transcribe`."""

    sources: tuple[str, ...]
    formats: tuple[str, ...]
    out: Path
    question: Question
    jobs: int
    overwrite: bool = False
    """Replace files that this command did not make, or of another recording, or changed since."""
    as_json: bool = False
    endpoint: str | None = None
    server: str | None = None

    @classmethod
    def of(cls, given: argparse.Namespace) -> Self:
        """Read what the parser found. Raise InvalidRequest if some of it does not go together."""
        is_elsewhere = given.endpoint is not None or given.server is not None
        return cls(
            sources=tuple(given.sources),
            formats=given.format,
            out=given.out,
            question=_question(given),
            jobs=given.jobs or (4 if is_elsewhere else 1),
            overwrite=given.overwrite,
            as_json=given.json,
            endpoint=given.endpoint,
            server=given.server,
        )


def _question(given: argparse.Namespace) -> Question:
    known, channels = tuple(given.known), Channels(given.channels)
    if known and (given.speakers is None or channels is Channels.SPLIT):
        other = "--speakers none" if given.speakers is None else "--channels split"
        raise InvalidRequest(f"--known needs the speaker model; leave out {other}")
    if len(known) > MAX_KNOWN_SPEAKERS:
        raise InvalidRequest(f"--known: at most {MAX_KNOWN_SPEAKERS} speakers can be known")
    _check_names(one.name for one in known)
    keyterms, edits = _words(given)
    return Question(given.language, given.speakers, channels, known, keyterms, edits)


def _words(given: argparse.Namespace) -> tuple[tuple[str, ...], Edits]:
    """Read what is asked of the words. Raise InvalidRequest in the words of a job's answer."""
    if not (given.keyterms or given.replace or given.remove_fillers):
        return (), Edits()
    from core.wire.job_input import SingleInput, parse

    phrases = dict(given.replace)
    if len(phrases) < len(given.replace):
        raise InvalidRequest("replace: a phrase is given twice")
    fields = {
        "keyterms": given.keyterms,
        "replace": phrases,
        "remove_fillers": given.remove_fillers,
    }
    asked = parse(SingleInput, fields, uploaded=LocalFile(Path()))
    return asked.decoding.keyterms, asked.edits


def _check_names(names: Iterable[str]) -> None:
    from core.wire.known_speakers import check_names

    try:
        check_names(names)
    except ValueError as error:
        raise InvalidRequest(f"--known: {error}") from None


def known(text: str) -> KnownSpeaker:
    """Read a name and the file of a voice."""
    from core.wire.known_speakers import known_name

    name, is_there, path = text.partition("=")
    if not is_there or not path:
        raise argparse.ArgumentTypeError(f"{text}: give NAME=FILE, with a recording of the voice")
    try:
        return KnownSpeaker(known_name(name), LocalFile(Path(path).absolute()))
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def keyterms(text: str) -> list[str]:
    """Read terms that are separated by commas."""
    terms = [term for part in text.split(",") if (term := part.strip())]
    if not terms:
        raise argparse.ArgumentTypeError("name at least one term")
    return terms


def replacement(text: str) -> tuple[str, str]:
    """Read a phrase and what to write instead."""
    phrase, is_there, instead = text.partition("=")
    if not is_there:
        raise argparse.ArgumentTypeError(f"{text}: give FROM=TO, or FROM= to leave it out")
    return phrase, instead


def formats(text: str) -> tuple[str, ...]:
    """Read a list of formats; each once, in the order given."""
    names = tuple(dict.fromkeys(name.strip().lower() for name in text.split(",") if name.strip()))
    if unknown := [name for name in names if name not in FORMATS]:
        raise argparse.ArgumentTypeError(
            f"{', '.join(unknown)}: not a format; there are {', '.join(FORMATS)}"
        )
    if not names:
        raise argparse.ArgumentTypeError("name at least one format")
    return names


def count(text: str) -> SpeakerCount | None:
    """Read a number of speakers, a range, `auto`, or `none`."""
    if text in ("auto", "none"):
        return SpeakerCount() if text == "auto" else None
    found = re.fullmatch(r"(\d{1,3})(?:-(\d{1,3}))?", text)
    if not found:
        raise argparse.ArgumentTypeError("give a number such as 2, a range such as 2-5, auto, none")
    least, most = int(found[1]), int(found[2] or found[1])
    if not 1 <= least <= most <= MAX_SPEAKERS:
        raise argparse.ArgumentTypeError(f"give 1 to {MAX_SPEAKERS} speakers, the smaller first")
    return SpeakerCount(exact=least) if found[2] is None else SpeakerCount(None, least, most)


def jobs(text: str) -> int:
    """Read how many recordings to work on at a time."""
    if not re.fullmatch(r"\d{1,2}", text) or not 1 <= int(text) <= MOST_JOBS:
        raise argparse.ArgumentTypeError(f"give a number from 1 to {MOST_JOBS}")
    return int(text)
