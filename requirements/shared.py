"""What the locks of the GPU images have in common, as two more locks: `torch.txt` (torch and CUDA)
and `shared.txt` (the rest).

python3 shared.py [SPEECH]: reads the locks beside it, writes into the working directory. The
Dockerfiles run it, so that the layers made of these two are the same in all GPU images. With
`whisper` for the engine of speech, the roles that have one take its locks, `<role>-whisper.txt`,
and share their layers among themselves. What `left-out.txt` names is taken out of all of them. The
standard library alone: it runs before anything is installed.
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


def left_out() -> set[str]:
    """The packages that no worker calls."""
    lines = (line.partition("#")[0].strip() for line in _read("left-out").splitlines())
    return {line for line in lines if line}


def without(lock: str, names: set[str]) -> str:
    """A lock without the packages of these names."""
    kept = (one for one in requirements(lock) if one.partition("==")[0] not in names)
    return "\n".join(kept) + "\n"


def main(speech: str = "parakeet") -> None:
    """Write the two files, and the locks of the engine's roles without what is left out."""
    if speech == "parakeet":
        locks = {role: _read(role) for role in ROLES}
    elif speech == "whisper":
        locks = {role: _read(f"{role}-whisper") for role in SPEAKING}
    else:
        sys.exit(f"SPEECH={speech}: parakeet and whisper are possible")
    locks = {role: without(lock, left_out()) for role, lock in locks.items()}
    heavy, others = split([*locks.values()])
    for name, lock in {**locks, "torch": "\n".join(heavy), "shared": "\n".join(others)}.items():
        Path(f"{name}.txt").write_text(lock.rstrip("\n") + "\n", encoding="utf-8")


def _read(name: str) -> str:
    return Path(__file__).with_name(f"{name}.txt").read_text(encoding="utf-8")


if __name__ == "__main__":
    main(*sys.argv[1:])
