"""Ask the transcription and the diarization endpoint at the same time, and merge their answers.

    python -m examples.split https://example.com/meeting.mp3 --transcription ID \
        --diarization ID --format vtt

This takes as long as the slower of the two. The modules of `core` that it uses need pydantic and
nothing else.
"""

from __future__ import annotations

import argparse
import asyncio

from core.domain.timeline import Transcript
from core.transcript.assembly import assemble
from core.wire.answers import read_diarization, read_transcription
from core.wire.form import Form, TranscriptFormat
from core.wire.render import render
from examples.client import Endpoint, Job
from examples.command import add_endpoint, add_words, connect, parser, show, start
from examples.recording import audio_field


def main(argv: list[str] | None = None) -> None:
    """Read the command line and run."""
    options = parser(__doc__)
    add_endpoint(options, "--transcription", "TRANSCRIPTION_ENDPOINT_ID")
    add_endpoint(options, "--diarization", "DIARIZATION_ENDPOINT_ID")
    add_words(options)
    options.add_argument("recording", help="a URL or a file")
    options.add_argument("--num-speakers", type=int, help="exact number; only if you are sure")
    start(transcribe(options.parse_args(argv)))


async def transcribe(arguments: argparse.Namespace) -> None:
    """Ask both endpoints, merge the answers, and print the transcript."""
    audio = await asyncio.to_thread(audio_field, arguments.recording)
    known = {"num_speakers": arguments.num_speakers} if arguments.num_speakers else {}
    wanted: Job = {"response_format": "verbose_json", "timestamps": arguments.timestamps}
    if arguments.language:
        wanted["language"] = arguments.language
    async with (
        connect(arguments.transcription, arguments.base_url) as words,
        connect(arguments.diarization, arguments.base_url) as turns,
    ):
        said, spoken = await both(words, {**audio, **wanted}, turns, {**audio, **known})
    output = render(
        merge(said, spoken),
        Form(TranscriptFormat(arguments.format), timestamps=arguments.timestamps),
    )
    show(output, arguments.format)


async def both(
    words: Endpoint, words_input: Job, turns: Endpoint, turns_input: Job
) -> tuple[Job, Job]:
    """Run both jobs; if one fails, cancel the other and raise the failure."""
    try:
        async with asyncio.TaskGroup() as group:
            said = group.create_task(words.run(words_input))
            spoken = group.create_task(turns.run(turns_input))
    except ExceptionGroup as failures:
        raise failures.exceptions[0] from None
    return said.result(), spoken.result()


def merge(said: Job, spoken: Job) -> Transcript:
    """Label the words of a `verbose_json` answer with the turns of a diarization."""
    words, turns = read_transcription(said, language=None), read_diarization(spoken)
    return assemble(words.transcription, turns, duration_s=words.duration)


if __name__ == "__main__":
    main()
