"""The time and memory that this project adds to the tools under it.

    python -m bench.overhead [--only decode|merge|memory] [--hours 1]

decode   an mp3 to samples by `core.media.audio`, beside the ffmpeg program of imageio-ffmpeg alone,
         which discards the same samples
merge    words × turns by `core.transcript.labelling`, beside the rule of whisperX: for each word
         the largest summed intersection over all turns
memory   a long file through decoding and cutting in a process of its own: its peak resident memory

All input is made on the fly from seeds. Compared runs take turns, so that a busy machine slows
both; medians are compared.
"""

from __future__ import annotations

import argparse
import random
import resource
import shlex
import statistics
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import imageio_ffmpeg
import numpy as np

from core.domain.timeline import Diarization, Turn, Word
from core.media.audio import SAMPLE_RATE, Stream
from core.media.cutting import utterances
from core.transcript.labelling import label_words

WORDS, TURNS, SPEAKERS = 30_000, 5_000, 4
"""A conversation of about three hours."""
MEMORY_HOURS = 3.0
MAX_HOURS = 10
DECODE_TARGET, DECODE_CPU_TARGET = 1.15, 1.3


@dataclass(frozen=True, slots=True)
class Run:
    """One run: seconds by the clock, and seconds of processor time, those of children included."""

    wall_s: float
    cpu_s: float


@dataclass(frozen=True, slots=True)
class Race:
    """Two ways to the same result, run in turns."""

    what: str
    theirs: tuple[Run, ...]
    ours: tuple[Run, ...]

    @property
    def ratio(self) -> float:
        """Our median by theirs, by the clock; under 1 we are faster."""
        return statistics.median(run.wall_s for run in self.ours) / statistics.median(
            run.wall_s for run in self.theirs
        )

    @property
    def cpu_ratio(self) -> float:
        """Our median by theirs in processor time, which other work on the machine disturbs less."""
        return statistics.median(run.cpu_s for run in self.ours) / statistics.median(
            run.cpu_s for run in self.theirs
        )


@dataclass(frozen=True, slots=True)
class Agreement:
    """The labels of two rules, compared word by word."""

    both: int
    """Words that have a speaker by both rules."""
    equal: int
    smoothed: int
    """Words that differ because ours gave a stray one or two to the speaker around them."""
    only_ours: int
    """Words that no turn covers and that our rule gave to the nearest one."""
    nobody: int


@dataclass(frozen=True, slots=True)
class Peak:
    """The highest resident memory, in MB (10⁶ bytes)."""

    way: str
    before_mb: float
    """The peak with everything imported and nothing done."""
    peak_mb: float
    child_mb: float
    """Of the decoder."""
    utterances: int


def run_in_turns(
    what: str, theirs: Callable[[], object], ours: Callable[[], object], repetitions: int
) -> Race:
    """Run both in turns, after one run of each that does not count."""
    theirs(), ours()
    runs = [(_timed(theirs), _timed(ours)) for _ in range(repetitions)]
    return Race(what, *(tuple(side) for side in zip(*runs, strict=True)))


def _timed(work: Callable[[], object]) -> Run:
    start, cpu_start = time.perf_counter(), _cpu_s()
    work()
    return Run(time.perf_counter() - start, _cpu_s() - cpu_start)


def _cpu_s() -> float:
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(one.ru_utime + one.ru_stime for one in used)


# decode


def make_recording(path: Path, hours: float) -> Path:
    """Write tones with noise and pauses, as stereo mp3 of 128 kbit/s at 44.1 kHz."""
    tone = f"sine=frequency=180:sample_rate=44100:duration={hours * 3600}"
    noise = f"anoisesrc=color=pink:amplitude=0.2:seed=1:sample_rate=44100:duration={hours * 3600}"
    loud = "volume='if(lt(mod(t,7),5.5),1,0.001)':eval=frame"
    mix = f"[0][1]amix=duration=shortest,{loud},pan=stereo|c0=c0|c1=0.8*c0"
    command = [
        imageio_ffmpeg.get_ffmpeg_exe(),
        "-nostdin",
        "-v",
        "error",
        "-f",
        "lavfi",
        "-i",
        tone,
        "-f",
        "lavfi",
        "-i",
        noise,
    ]
    subprocess.run([*command, "-filter_complex", mix, "-b:a", "128k", "-y", str(path)], check=True)
    return path


def race_decoding(hours: float, repetitions: int) -> Race:
    """Decode one file to 16 kHz mono, by `core.media.audio` and by ffmpeg alone."""
    ffmpeg = imageio_ffmpeg.get_ffmpeg_exe()
    with TemporaryDirectory() as folder:
        path = make_recording(Path(folder) / "recording.mp3", hours)
        samples = shlex.split("-map 0:a:0 -ac 1 -ar 16000 -f s16le -y /dev/null")
        bare = [ffmpeg, "-nostdin", "-v", "error", "-i", str(path), *samples]
        return run_in_turns(
            f"decode {hours:g} h of mp3",
            lambda: subprocess.run(bare, check=True),
            lambda: Stream(path, max_duration_s=MAX_HOURS * 3600).read(),
            repetitions,
        )


# merge


def make_conversation(seed: int = 1) -> tuple[list[Word], tuple[Turn, ...]]:
    """Make sentences of people who take turns, some of one word, and the turns.

    The edges of the turns are off by up to 0.1 s.
    """
    rng = random.Random(seed)
    extra = Counter(rng.choices(range(TURNS), k=WORDS - TURNS))
    words: list[Word] = []
    turns: list[Turn] = []
    now, speaker = 0.0, 0
    for i in range(TURNS):
        speaker = (speaker + rng.randrange(1, SPEAKERS)) % SPEAKERS
        said = list(_say(1 + extra[i], now, rng))
        words += said
        start = max(said[0].start + rng.uniform(-0.1, 0.1), turns[-1].end if turns else 0.0)
        turns.append(
            Turn(start, max(start + 0.1, said[-1].end + rng.uniform(-0.1, 0.1)), f"{speaker + 1}")
        )
        now = said[-1].end + rng.expovariate(5)
    return words, tuple(turns)


def _say(count: int, now: float, rng: random.Random) -> Iterator[Word]:
    for i in range(count):
        length = rng.uniform(0.15, 0.5)
        last = i == count - 1 or rng.random() < 0.1
        yield Word(now, now + length, "word." if last else "word")
        now += length + rng.uniform(0, 0.1)


def label_as_whisperx(words: list[Word], turns: tuple[Turn, ...]) -> list[str | None]:
    """Label words by whisperX's rule, vectorised over the turns: O(W·D).

    It looks at every turn that starts before the word ends.
    """
    order = sorted(turns, key=lambda turn: turn.start)
    starts = np.array([turn.start for turn in order])
    ends = np.array([turn.end for turn in order])
    names = sorted({turn.speaker for turn in order})
    speakers = np.array([names.index(turn.speaker) for turn in order])
    labels: list[str | None] = []
    for word in words:
        before = np.searchsorted(starts, word.end)
        shared = np.minimum(ends[:before], word.end) - np.maximum(starts[:before], word.start)
        meets = shared > 0
        totals = np.bincount(speakers[:before][meets], weights=shared[meets], minlength=1)
        labels.append(names[int(totals.argmax())] if meets.any() else None)
    return labels


def race_merging(repetitions: int) -> tuple[Race, Agreement]:
    """Label the same words with the same turns, none of which overlap, by both rules."""
    words, turns = make_conversation()
    diarization = Diarization(turns, turns)
    race = run_in_turns(
        f"merge {WORDS} words × {TURNS} turns",
        lambda: label_as_whisperx(words, turns),
        lambda: label_words(words, diarization),
        repetitions,
    )
    theirs = label_as_whisperx(words, turns)
    ours = [word.speaker for word in label_words(words, diarization)]
    return race, _compare(theirs, ours, words, diarization)


def _compare(
    theirs: list[str | None], ours: list[str | None], words: list[Word], diarization: Diarization
) -> Agreement:
    pairs = list(zip(theirs, ours, words, strict=True))
    differing = [
        (one, word) for one, other, word in pairs if None not in (one, other) and one != other
    ]
    return Agreement(
        both=sum(None not in (one, other) for one, other, _ in pairs),
        equal=sum(one == other is not None for one, other, _ in pairs),
        smoothed=sum(label_words([word], diarization)[0].speaker == one for one, word in differing),
        only_ours=sum(one is None and other is not None for one, other, _ in pairs),
        nobody=sum(one is None and other is None for one, other, _ in pairs),
    )


# memory


def measure_memory(hours: float) -> list[Peak]:
    """Decode the whole waveform in one piece, as the workers do, and streamed."""
    with TemporaryDirectory() as folder:
        path = make_recording(Path(folder) / "recording.mp3", hours)
        return [_in_a_process_of_its_own(way, path) for way in ("whole", "stream")]


def _in_a_process_of_its_own(way: str, path: Path) -> Peak:
    command = [sys.executable, "-m", "bench.overhead", "--child", way, str(path)]
    said = subprocess.run(command, check=True, capture_output=True, text=True).stdout.split()
    before_mb, peak_mb, child_mb, count = map(float, said)
    return Peak(way, before_mb, peak_mb, child_mb, int(count))


def _child(way: str, path: Path) -> None:
    before_mb = _peak_mb(resource.RUSAGE_SELF)
    blocks = (
        Stream(path, max_duration_s=MAX_HOURS * 3600)
        if way == "stream"
        else [Stream(path, max_duration_s=MAX_HOURS * 3600).read().samples]
    )
    count = sum(1 for _ in utterances(blocks))
    print(before_mb, _peak_mb(resource.RUSAGE_SELF), _peak_mb(resource.RUSAGE_CHILDREN), count)


def _peak_mb(who: int) -> float:
    """Return the peak in MB; Linux reports kibibytes."""
    return resource.getrusage(who).ru_maxrss * 1024 / 1e6


# what is printed


def show_race(
    race: Race, theirs: str, target: float | None = None, cpu_target: float | None = None
) -> None:
    """Print a line for each side, then the ratios."""
    print(f"\n{race.what}, {len(race.ours)} runs each, in turns")
    for name, runs in ((theirs, race.theirs), ("ours", race.ours)):
        wall, cpu = [run.wall_s for run in runs], [run.cpu_s for run in runs]
        print(
            f"  {name:<12} clock: median {statistics.median(wall):7.3f} s, {min(wall):.3f} to "
            f"{max(wall):.3f}",
            end="",
        )
        print(
            f"   processor: median {statistics.median(cpu):7.3f} s, {min(cpu):.3f} to "
            f"{max(cpu):.3f}"
        )
    print(
        f"  ratio        clock {race.ratio:.3f}, processor {race.cpu_ratio:.3f}"
        + (f"   (targets ≤ {target:g} and ≤ {cpu_target:g})" if target and cpu_target else "")
    )


def show_agreement(found: Agreement) -> None:
    """Print the agreement of the labels."""
    print(
        f"  labels       {found.equal} of {found.both} equal where both give one; "
        f"{found.smoothed} differ by smoothing"
    )
    print(
        f"               {found.only_ours} by ours alone (nearest turn), {found.nobody} by neither"
    )


def show_memory(hours: float, peaks: list[Peak]) -> None:
    """Print a line for each way, and the size of the waveform itself."""
    print(
        f"\ndecode + chunk {hours:g} h of mp3; as float32 the samples alone are "
        f"{hours * 3600 * SAMPLE_RATE * 4 / 1e6:.0f} MB"
    )
    for peak in peaks:
        print(
            f"  {peak.way:<12} peak {peak.peak_mb:6.0f} MB   (imports alone {peak.before_mb:.0f} "
            f"MB, decoder {peak.child_mb:.0f} MB)"
            f"   {peak.utterances} utterances"
        )


def main() -> None:
    """Run what the command line asks for."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", maxsplit=1)[0])
    parser.add_argument("--only", choices=["decode", "merge", "memory"])
    parser.add_argument(
        "--hours",
        type=float,
        help=f"length of the file: 1 for decode and {MEMORY_HOURS:g} for memory if not given",
    )
    parser.add_argument("--repetitions", type=int, default=5)
    parser.add_argument("--child", nargs=2, metavar=("WAY", "PATH"), help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.child:
        _child(asked.child[0], Path(asked.child[1]))
        return
    if asked.only in (None, "decode"):
        show_race(
            race_decoding(asked.hours or 1.0, asked.repetitions),
            "ffmpeg",
            DECODE_TARGET,
            DECODE_CPU_TARGET,
        )
    if asked.only in (None, "merge"):
        race, found = race_merging(asked.repetitions)
        show_race(race, "whisperX")
        show_agreement(found)
    if asked.only in (None, "memory"):
        show_memory(asked.hours or MEMORY_HOURS, measure_memory(asked.hours or MEMORY_HOURS))


if __name__ == "__main__":
    main()
