"""The orchestrator's answer beside the single worker's, byte for byte.

    python -m bench.equality [--count 20]

All four roles run as real workers on the embedded models behind the emulator, each with one thread
for torch. Both endpoints get held-out dialogues, those of `bench.accuracy`, at the same time, in
every response format with timestamps, and once with voices: known speakers, one by a recording, and
all vectors returned. The outputs are compared as JSON, without the fields that the platform adds,
such as the time that the job took, and without the seconds of each kind of work. Exit with code 1
if two answers differ.
"""

from __future__ import annotations

import argparse
import asyncio
import base64
import json
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from bench.roles import KEY
from bench.system import running
from bench.untimed import untimed
from core.wire.form import TranscriptFormat
from emulator.server import Server
from examples import client
from training.dialogues import FIRST_HELD_OUT_SEED, write_set

ROLES = ("single", "diarization", "transcription", "orchestrator")
FORMATS = tuple(TranscriptFormat)
VOICES = "voices"
QUESTIONS = (*FORMATS, VOICES)
ENVIRONMENT = {role: {"OMP_NUM_THREADS": "1"} for role in ROLES}


@dataclass(frozen=True, slots=True)
class Comparison:
    """Two answers to one question, as sent."""

    single: bytes
    orchestrated: bytes
    single_s: float
    orchestrated_s: float

    @property
    def is_equal(self) -> bool:
        """Tell whether the answers are equal to the last byte."""
        return self.single == self.orchestrated

    def difference(self) -> str:
        """Return the place at which the answers begin to differ."""
        pairs = enumerate(zip(self.single, self.orchestrated, strict=False))
        at = next(
            (index for index, (one, other) in pairs if one != other),
            min(len(self.single), len(self.orchestrated)),
        )
        near = slice(max(0, at - 60), at + 60)
        return f"byte {at}: {self.single[near]!r} and {self.orchestrated[near]!r}"


def question(recording: Path, name: str) -> dict[str, object]:
    """Return what is asked."""
    audio = base64.b64encode(recording.read_bytes()).decode()
    if name != VOICES:
        return {"audio_base64": audio, "response_format": name, "timestamps": True}
    known = [{"name": "Somebody", "audio": audio}]
    return {"audio_base64": audio, "return_embeddings": True, "known_speakers": known}


async def compare(server: Server, asked: dict[str, object]) -> Comparison:
    """Ask both endpoints at the same time."""
    (single, single_s), (orchestrated, orchestrated_s) = await asyncio.gather(
        *(_answer(server, role, asked) for role in ("single", "orchestrator"))
    )
    return Comparison(single, orchestrated, single_s, orchestrated_s)


async def _answer(server: Server, role: str, asked: dict[str, object]) -> tuple[bytes, float]:
    """Return one answer, and the seconds that it took."""
    async with client.Endpoint(role, key=KEY, base_url=server.base_url) as endpoint:
        started = time.monotonic()
        output = await endpoint.run(asked)
        return json.dumps(untimed(output)).encode(), time.monotonic() - started


def head() -> str:
    """Return the first line of the table."""
    return f"{'dialogue':<15}{'single s':>10}{'orch. s':>10}" + "".join(
        f"{name:>15}" for name in QUESTIONS
    )


def line(recording: Path, comparisons: Sequence[Comparison]) -> str:
    """Return a dialogue's line: the mean times, and for each format the bytes if they are equal."""
    means = [
        sum(getattr(one, name) for one in comparisons) / len(comparisons)
        for name in ("single_s", "orchestrated_s")
    ]
    told = [f"{len(one.single):,}" if one.is_equal else "DIFFERS" for one in comparisons]
    return (
        f"{recording.stem:<15}"
        + "".join(f"{mean:10.1f}" for mean in means)
        + "".join(f"{one:>15}" for one in told)
    )


def main() -> None:
    """Make missing dialogues, ask, and print the table (bytes of the answers that are equal)."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--count", type=int, default=20)
    parser.add_argument("--seed", type=int, default=FIRST_HELD_OUT_SEED)
    parser.add_argument("--dialogues", type=Path, default=Path("build/held-out"))
    options = parser.parse_args()
    recordings = write_set(options.dialogues, options.count, options.seed)
    differences = []
    with (
        tempfile.TemporaryDirectory(prefix="equality-") as folder,
        running(ROLES, Path(folder), ENVIRONMENT) as server,
    ):
        print(head(), flush=True)
        for recording in recordings:
            comparisons = [
                asyncio.run(compare(server, question(recording, str(name)))) for name in QUESTIONS
            ]
            print(line(recording, comparisons), flush=True)
            both = zip(QUESTIONS, comparisons, strict=True)
            differences += [
                f"{recording.stem}, {name}: {one.difference()}"
                for name, one in both
                if not one.is_equal
            ]
    compared = len(recordings) * len(QUESTIONS)
    print(
        "\n".join([*differences, f"{compared - len(differences)} of {compared} answers are equal"])
    )
    sys.exit(1 if differences else 0)


if __name__ == "__main__":
    main()
