"""What the locks of the GPU images have in common, as two more locks: `torch.txt` (torch and CUDA)
and `shared.txt` (the rest).

python3 shared.py [SPEECH]: reads the locks beside it, writes into the working directory. The
Dockerfiles run it, so that the layers made of these two are the same in all GPU images. With
`whisper` for the engine of speech, the roles that have one take its locks, `<role>-whisper.txt`,
and share their layers among themselves. The standard library alone: it runs before anything is
installed.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path

ROLES = ("single", "diarization", "transcription")
SPEAKING = ("single", "transcription")
"""The roles that have a speech model."""
HEAVY = re.compile(r"(torch|torchaudio|triton|nvidia-[\w-]+)==")
_REQUIREMENT = re.compile(r"^\S.*(?:\n[ \t]+.*)*", re.MULTILINE)


def requirements(lock: str) -> list[str]:
    """The requirements of a lock, each with its hashes, in order."""
    return [found for found in _REQUIREMENT.findall(lock) if not found.startswith("#")]


def split(locks: list[str]) -> tuple[list[str], list[str]]:
    """The requirements that stand in all locks, word for word: those of torch and CUDA, and the
    others.
    """
    first, *others = [requirements(lock) for lock in locks]
    common = [requirement for requirement in first if all(requirement in other for other in others)]
    heavy = [requirement for requirement in common if HEAVY.match(requirement)]
    return heavy, [requirement for requirement in common if requirement not in heavy]


def main(speech: str = "parakeet") -> None:
    """Write the two files, and the locks of another engine in place of Parakeet's."""
    if speech == "parakeet":
        locks = [_lock(role) for role in ROLES]
    elif speech == "whisper":
        locks = [_lock(f"{role}-whisper") for role in SPEAKING]
        for role, lock in zip(SPEAKING, locks, strict=True):
            Path(f"{role}.txt").write_text(lock, encoding="utf-8")
    else:
        sys.exit(f"SPEECH={speech}: parakeet and whisper are possible")
    for name, lines in zip(("torch.txt", "shared.txt"), split(locks), strict=True):
        Path(name).write_text("\n".join(lines) + "\n", encoding="utf-8")


def _lock(name: str) -> str:
    return Path(__file__).with_name(f"{name}.txt").read_text(encoding="utf-8")


if __name__ == "__main__":
    main(*sys.argv[1:])
