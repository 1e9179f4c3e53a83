"""Ask the transcription and the diarization endpoint at the same time and say here who said what.

    python -m examples.split https://example.com/meeting.mp3 --transcription ID \
        --diarization ID --format vtt

As long as the slower of the two, not as long as both. `core.transcript.labelling` needs the
standard library only; `core.wire.render` needs pydantic.
"""

from __future__ import annotations

import argparse
import asyncio

from core.domain.timeline import Diarization, Transcript, Turn, Word
from core.transcript.labelling import label_words
from core.transcript.segments import split_segments
from core.wire.job_input import TranscriptFormat
from core.wire.openai import UNKNOWN_LANGUAGE
from core.wire.render import render
from examples.client import Endpoint, Job
from examples.command import add_endpoint, add_format, connect, parser, show, start
from examples.recording import audio_field


def main(argv: list[str] | None = None) -> None:
    """Read the command line, then run."""
    options = parser(__doc__)
    add_endpoint(options, "--transcription", "TRANSCRIPTION_ENDPOINT_ID")
    add_endpoint(options, "--diarization", "DIARIZATION_ENDPOINT_ID")
    add_format(options)
    options.add_argument("recording", help="a URL or a file")
    options.add_argument("--num-speakers", type=int, help="exactly so many; only if you are sure")
    start(transcribe(options.parse_args(argv)))


async def transcribe(arguments: argparse.Namespace) -> None:
    """Ask, merge, print."""
    audio = audio_field(arguments.recording)
    known = {"num_speakers": arguments.num_speakers} if arguments.num_speakers else {}
    async with (
        connect(arguments.transcription, arguments.base_url) as words,
        connect(arguments.diarization, arguments.base_url) as turns,
    ):
        said, spoken = await both(
            words, {**audio, "response_format": "verbose_json"}, turns, {**audio, **known}
        )
    output = render(merge(said, spoken), TranscriptFormat(arguments.format), timestamps=False)
    show(output, arguments.format)


async def both(
    words: Endpoint, words_input: Job, turns: Endpoint, turns_input: Job
) -> tuple[Job, Job]:
    """Run both jobs; where one fails the other is cancelled, and the failure raised."""
    try:
        async with asyncio.TaskGroup() as group:
            said = group.create_task(words.run(words_input))
            spoken = group.create_task(turns.run(turns_input))
    except ExceptionGroup as failures:
        raise failures.exceptions[0] from None
    return said.result(), spoken.result()


def merge(said: Job, spoken: Job) -> Transcript:
    """Label the words of a `verbose_json` answer with the turns of a diarization."""
    diarization = Diarization(_turns(spoken["segments"]), _turns(spoken["exclusive_segments"]))
    words = label_words(
        [Word(one["start"], one["end"], one["word"], one["confidence"]) for one in said["words"]],
        diarization,
    )
    return Transcript(
        duration=said["duration"],
        words=words,
        segments=split_segments(words),
        language=None if said["language"] == UNKNOWN_LANGUAGE else said["language"],
        diarized=True,
        num_speakers=diarization.num_speakers,
        warnings=tuple(dict.fromkeys([*said["warnings"], *spoken["warnings"]])),
    )


def _turns(segments: list[Job]) -> tuple[Turn, ...]:
    return tuple(Turn(one["start"], one["end"], one["speaker"]) for one in segments)


if __name__ == "__main__":
    main()
