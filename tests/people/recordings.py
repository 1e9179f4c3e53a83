"""Recordings of people, each with its words and turns in the form of `training.dialogues`.

- `call`: a telephone call of two women, which pyannote.audio ships as its sample.
- `austen-…`: a reader of Sense and Sensibility; `cards-…`: a man who names playing cards;
  `commands-…`: another who commands a robot and reads digits. All are of Debian's
  pocketsphinx-testdata.
"""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

import numpy as np

from tests.people.clips import INT16, Clip, read_wav, write_clip
from training.dialogues import (
    Dialogue,
    SpeakerTurn,
    SpokenWord,
    read_reference,
    write_dialogue,
)

TEST_DATA = "usr/share/pocketsphinx/test/data"
_LINE = re.compile(r"<s> (.+?) *</s> \((.+)\)")


@dataclass(frozen=True, slots=True)
class Line:
    """What somebody says in the call, in seconds."""

    person: str
    start: float
    end: float
    text: str


# --- the call ---


def sample_folder() -> Path:
    """Return the folder in which pyannote.audio has its sample."""
    spec = find_spec("pyannote.audio")
    assert spec
    assert spec.origin
    return Path(spec.origin).parent / "sample"


def call_lines() -> list[Line]:
    """Return what is said in the call, line by line."""
    lines = []
    for row in (sample_folder() / "sample.stm").read_text().splitlines():
        _, _, person, start, end, text = row.split(maxsplit=5)
        lines.append(Line(person, float(start), float(end), text))
    return lines


def call_turns() -> list[SpeakerTurn]:
    """Return who speaks when in the call, by the names of its lines."""
    names = {"speaker90": "Diane", "speaker91": "Sheila"}
    rows = [
        row.split() for row in (sample_folder() / "sample.rttm").read_text().splitlines() if row
    ]
    return [
        SpeakerTurn(float(row[3]), round(float(row[3]) + float(row[4]), 3), names[row[7]])
        for row in rows
    ]


def _words(line: Line) -> Iterator[SpokenWord]:
    """Yield a line's words, at times in proportion to their letters."""
    words = line.text.split()
    edges = np.concatenate([[0.0], np.cumsum([len(word) + 1 for word in words])])
    at = line.start + edges / edges[-1] * (line.end - line.start)
    for word, start, end in zip(words, at, at[1:], strict=False):
        yield SpokenWord(word, round(float(start), 3), round(float(end), 3), line.person)


def write_call(folder: Path) -> None:
    """Write `call.wav`, sample for sample, and its truth."""
    source = sample_folder() / "sample.wav"
    words = tuple(word for line in call_lines() for word in _words(line))
    call = Dialogue(read_wav(source), words, tuple(call_turns()))
    shutil.copyfile(source, write_dialogue(call, folder / "call", "wav"))


# --- readings ---


COMMANDS = {
    "goforward.raw": "go forward ten meters",
    "something.raw": "go somewhere and do something",
    "tidigits/dhd.2934z.raw": "two nine three four zero",
}
"""The package has no list of these: a grammar, a name and a name say what they are."""


def write_readings(package: Path, folder: Path) -> None:
    """Write a recording for each clip in the files of Debian's package."""
    data = package / TEST_DATA
    for clip in (
        *_listed(data / "librivox", "transcription", "austen"),
        *_listed(data / "cards", "cards.transcription", "cards"),
        *_commands(data),
    ):
        write_clip(clip, folder)


def _listed(folder: Path, texts: str, person: str) -> Iterator[Clip]:
    for row in (folder / texts).read_text().splitlines():
        if found := _LINE.fullmatch(row):
            samples = read_wav(folder / f"{found[2]}.wav")
            yield Clip(f"{person}-{found[2][-4:]}", person, samples, found[1])


def _commands(data: Path) -> Iterator[Clip]:
    for file, text in COMMANDS.items():
        samples = np.fromfile(data / file, "<i2").astype(np.float32) / INT16
        yield Clip(f"commands-{file.split('.')[-2]}", "commands", samples, text)


def reading_clips(folder: Path) -> list[Clip]:
    """Return the clips that `write_readings` has written."""
    return [
        Clip(path.stem, path.stem.split("-")[0], read_wav(path), text)
        for path in sorted(folder.glob("*-*.wav"))
        if (text := " ".join(word.text for word in read_reference(path.with_suffix(".json"))[0]))
    ]
