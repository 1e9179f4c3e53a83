"""What a refused request costs: seconds and memory beyond its own JSON.

    python -m bench.requests
    python -m bench.requests --mb 20

Each input is as large as the platform carries and is read as the transcription worker reads it.
The command fails if one of them takes more than half a second or 100 MB.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
import tracemalloc
from collections.abc import Iterator

from core.errors import InvalidRequest
from core.wire.job_input import TranscriptionInput, parse

MOST_S = 0.5
MOST_MB = 100.0
AUDIO = '"audio": "AAAA"'


def inputs(size: int) -> Iterator[tuple[str, str]]:
    """Yield names and JSON texts of about `size` bytes."""

    def turns(element: str) -> str:
        count = size // (len(element) + 1)
        return f'{{{AUDIO}, "diarization_segments": [{",".join([element] * count)}]}}'

    def fields(count: int) -> str:
        return ",".join(f'"f{index:07d}":1' for index in range(count))

    one = '{"start":0,"end":9,"speaker":"%07d"}'
    yield "empty turns", turns("{}")
    yield "numbers for turns", turns("0")
    yield "right turns, too many", turns(one % 0)
    speakers = ",".join(one % index for index in range(size // (len(one) + 6)))
    yield "one speaker a turn", f'{{{AUDIO}, "diarization_segments": [{speakers}]}}'
    yield "unknown fields", f"{{{AUDIO},{fields(size // 12)}}}"
    yield "unknown fields in a part", f'{{{AUDIO},"part":{{{fields(size // 12)}}}}}'
    yield (
        "unknown fields in a turn",
        f'{{{AUDIO},"diarization_segments":[{{{fields(size // 12)}}}]}}',
    )
    yield "nothing but a language", f'{{{AUDIO},"language":"{"x" * size}\\ud800"}}'
    yield "a list for a text", f'{{{AUDIO},"language":[{",".join("0" * (size // 2))}]}}'


def refusal_of(job_input: object) -> str:
    """Return why an input is refused."""
    try:
        parse(TranscriptionInput, job_input)
    except InvalidRequest as error:
        return str(error)
    raise AssertionError("the input is taken")


def cost(text: str) -> tuple[float, float, str]:
    """Return the seconds and the MB that refusing takes, and the reason."""
    job_input = json.loads(text)
    started = time.perf_counter()
    reason = refusal_of(job_input)
    took_s = time.perf_counter() - started
    tracemalloc.start()
    refusal_of(job_input)
    peak_mb = tracemalloc.get_traced_memory()[1] / 1e6
    tracemalloc.stop()
    return took_s, peak_mb, reason


def main() -> None:
    """Measure every kind of input."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--mb", type=float, default=10, help="size of each input; default: 10")
    size = round(1e6 * parser.parse_args().mb)
    is_cheap = True
    for name, text in inputs(size):
        took_s, peak_mb, reason = cost(text)
        is_cheap &= took_s <= MOST_S and peak_mb <= MOST_MB
        print(
            f"{name:26} {len(text) / 1e6:5.1f} MB {took_s:6.3f} s {peak_mb:6.1f} MB  {reason[:60]}"
        )
    sys.exit(0 if is_cheap else 1)


if __name__ == "__main__":
    main()
