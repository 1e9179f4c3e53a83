"""Enrol voices in one recording, and recognise them in another.

    python -m examples.voices monday.mp3 tuesday.mp3 --name 1=Ada --name 2=Grace

The first recording tells who the numbers are: transcribe it once, and listen. Keep the vectors that
it gives (--keep voices.json), and the next time they stand in for it:

    python -m examples.voices voices.json wednesday.mp3

Vectors are personal data: keep them as you would keep the recordings.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
from pathlib import Path

from examples.client import Endpoint, Job
from examples.command import add_endpoint, connect, parser, start, tell
from examples.recording import audio_field


def main(argv: list[str] | None = None) -> None:
    """Read the command line and run."""
    options = parser(__doc__)
    add_endpoint(options)
    options.add_argument("voices", help="a recording of those who are to be known, or a .json kept")
    options.add_argument("recording", help="the one to recognise them in")
    options.add_argument(
        "--name",
        action="append",
        default=[],
        type=_name,
        metavar="NUMBER=NAME",
        help="who a speaker of the first recording is; once for each",
    )
    options.add_argument("--keep", type=Path, metavar="FILE", help="keep the vectors here")
    start(recognise(options.parse_args(argv)))


def _name(text: str) -> tuple[str, str]:
    number, is_there, name = text.partition("=")
    if not (number.isdecimal() and is_there and name):
        raise argparse.ArgumentTypeError(f"{text}: give NUMBER=NAME, such as 1=Ada")
    return number, name


async def recognise(arguments: argparse.Namespace) -> None:
    """Enrol, transcribe with names, and print who says what."""
    async with connect(arguments.endpoint, arguments.base_url) as endpoint:
        known = await _known(endpoint, arguments)
        audio = await asyncio.to_thread(audio_field, arguments.recording)
        output = await endpoint.run({**audio, "known_speakers": known})
    for warning in output["warnings"]:
        tell(f"warning: {warning}")
    for segment in output["segments"]:
        print(f"{segment['speaker'] or 'nobody'}: {segment['text']}")


async def _known(endpoint: Endpoint, arguments: argparse.Namespace) -> list[Job]:
    """Return the known speakers, from the file that kept them or from a recording."""
    if arguments.voices.endswith(".json"):
        kept: list[Job] = json.loads(Path(arguments.voices).read_text(encoding="utf-8"))
        return kept
    audio = await asyncio.to_thread(audio_field, arguments.voices)
    output = await endpoint.run({**audio, "return_embeddings": True})
    known = enrolled(output["embeddings"], arguments.name)
    if arguments.keep:
        arguments.keep.write_text(json.dumps(known), encoding="utf-8")
    return known


def enrolled(embeddings: list[Job], names: list[tuple[str, str]]) -> list[Job]:
    """Return the field `known_speakers`: each name with the voice of its number.

    Exit with one line if a number is not there.
    """
    voices = {voice["speaker"]: voice for voice in embeddings}
    for number, _ in names:
        if number not in voices:
            sys.exit(f"there is no speaker {number}; there are {', '.join(voices) or 'none'}")
    return [{"name": name, "embedding": voices[number]} for number, name in names]


if __name__ == "__main__":
    main()
