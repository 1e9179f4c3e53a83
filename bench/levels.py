"""Words by level: the same recording from -66 to +20 dB, as float and as 16 bits.

    python -m bench.levels

Each line is one level: the words of the recording at its own level that are still heard, in order.
16 bits hold no more than they can: what is fainter than their steps or beyond full scale is lost
before any decoder sees it, so those lines stop at -30 and at 0 dB.
"""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory

from bench.listening import RECORDING, ffmpeg, kept, words
from core.media.audio import Stream

LEVELS_DB = (-66, -60, -50, -40, -30, -20, -10, 0, 6, 12, 20)
_FLOAT, _INTEGER = "pcm_f32le", "pcm_s16le"
_INTEGER_DB = range(-30, 1)


def main() -> None:
    """Print the table."""
    plain = words(Stream(RECORDING, max_duration_s=600).read())
    print(f"{RECORDING}: {len(plain)} words\n\n   dB  format     words kept")
    with TemporaryDirectory() as folder:
        path = Path(folder) / "a.wav"
        for codec in (_FLOAT, _INTEGER):
            for level_db in LEVELS_DB:
                if codec == _INTEGER and level_db not in _INTEGER_DB:
                    continue
                volume = f"aformat=sample_fmts=flt,volume={level_db}dB:precision=float"
                ffmpeg("-i", RECORDING, "-af", volume, "-c:a", codec, path)
                found = words(Stream(path, max_duration_s=600).read())
                count = kept(plain, found)
                print(f"{level_db:5}  {codec}  {count:3} of {len(plain)}", flush=True)


if __name__ == "__main__":
    main()
