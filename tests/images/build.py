"""Build the four images and say how long it took and what they weigh: python -m
tests.images.build
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path

from tests.images.base import base_image
from tests.images.engine import ROOT, Engine, EngineError, find

GPU_ROLES = ("single", "transcription", "diarization")
ROLES = ("orchestrator", *GPU_ROLES)
MB = 1e6


@dataclass(frozen=True, slots=True)
class Built:
    """An image that was just built."""

    role: str
    tag: str
    seconds: float
    bytes: int
    """With its base."""


def dockerfile(role: str, folder: Path = ROOT) -> Path:
    """The Dockerfile of a role."""
    return folder / ("Dockerfile" if role == "single" else f"Dockerfile.{role}")


def tag(role: str) -> str:
    """What the image of a role is called here."""
    return f"parakeet-test/{role}"


def build(
    engine: Engine,
    role: str,
    base: str,
    context: Path = ROOT,
    *,
    name: str | None = None,
    options: tuple[str, ...] = (),
) -> Built:
    """Build the image of a role. Raises EngineError."""
    name = name or tag(role)
    seconds = engine.build(
        dockerfile(role, context), name, context, "--build-arg", f"BASE_IMAGE={base}", *options
    )
    return Built(role, name, seconds, engine.image(name)["Size"])


def main() -> None:
    """Build all four; exit code 1 and a line or the end of the engine's output where that fails."""
    engine = find()
    if engine is None:
        sys.exit(
            "images: no container engine answers (a client named by DOCKER, or docker on PATH; "
            "with buildx from version 23 on)"
        )
    try:
        base = base_image(engine)
        base_bytes = engine.image(base)["Size"] if engine.has(base) else 0
        print(f"base {base}: {base_bytes / MB:.0f} MB", flush=True)
        for role in ROLES:
            built = build(engine, role, base)
            print(
                f"{built.tag}: {built.seconds:.0f} s, {built.bytes / MB:.0f} MB, "
                f"{(built.bytes - base_bytes) / MB:.0f} above its base",
                flush=True,
            )
    except EngineError as error:
        sys.exit(f"images: {error}")


if __name__ == "__main__":
    main()
