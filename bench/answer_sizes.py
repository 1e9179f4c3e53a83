"""How large answers are: MB an hour, and after how many hours the platform carries them no more.

    python -m bench.answer_sizes

The speech is examples/dialogue.json, again and again: three people at 2.9 words a second, which is
brisk. Silence has no words, so the least that an hour can take is next to nothing.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from core.domain.rounding import seconds
from core.domain.timeline import Character, Diarization, Transcript, Transcription, Turn, Word
from core.transcript.assembly import assemble
from core.wire.form import Form, TranscriptFormat, WorkerFormat
from core.wire.limits import MAX_RUN_BYTES, MAX_RUNSYNC_BYTES
from core.wire.render import render

DIALOGUE = Path("examples/dialogue.json")
HOUR_S = 3600.0
FORMS = [
    Form(written, timestamps=timestamps)
    for timestamps in (False, True)
    for written in (*TranscriptFormat, WorkerFormat.COMPACT)
]


def speech(truth: dict[str, Any], duration_s: float) -> Transcript:
    """Return the dialogue repeated up to a length, with speakers and the times of letters."""
    words: list[Word] = []
    turns: list[Turn] = []
    start_s = 0.0
    while start_s + truth["duration"] <= duration_s:
        for one in truth["words"]:
            span = (seconds(start_s + one["start"]), seconds(start_s + one["end"]))
            words.append(Word(*span, one["text"], 0.973))
        turns += [
            Turn(start_s + one["start"], start_s + one["end"], one["speaker"])
            for one in truth["turns"]
        ]
        start_s += truth["duration"]
    heard = Transcription(tuple(words), tuple(_letters(words)), language="en")
    return assemble(heard, Diarization(tuple(turns), tuple(turns)), duration_s=duration_s)


def _letters(words: list[Word]) -> Iterator[Character]:
    for word in words:
        step_s = (word.end - word.start) / len(word.text)
        for index, letter in enumerate(word.text):
            start_s = word.start + index * step_s
            yield Character(seconds(start_s), seconds(start_s + step_s), letter)


def size(transcript: Transcript, form: Form) -> int:
    """Return the bytes of an answer as the platform counts them."""
    answer = {"output": render(transcript, form)}
    return len(json.dumps(answer, ensure_ascii=False).encode())


def main() -> None:
    """Print a line for each form."""
    hour = speech(json.loads(DIALOGUE.read_text()), HOUR_S)
    silence = Transcript(HOUR_S, (), ())
    print(f"{len(hour.words)} words an hour")
    print("form                          MB an hour   /run carries   /runsync   silence")
    for form in FORMS:
        name = f"{form.response_format}{', timestamps' if form.timestamps else ''}"
        of_speech = size(hour, form)
        print(
            f"{name:30}{of_speech / 1e6:10.2f}{MAX_RUN_BYTES / of_speech:12.1f} h"
            f"{MAX_RUNSYNC_BYTES / of_speech:10.1f} h{size(silence, form):8} B"
        )


if __name__ == "__main__":
    main()
