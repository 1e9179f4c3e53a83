"""A container engine on this machine, by its command line client."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
_LAST_WITHOUT_BUILDX = 22
"""The last client that does a BuildKit build by itself; later ones need the buildx plugin for it.
"""


class EngineError(Exception):
    """The engine refused a command; the message is the end of what it said."""


@dataclass(frozen=True, slots=True)
class Engine:
    """A client that has an engine behind it and can build with BuildKit."""

    client: str

    def do(self, *arguments: str, timeout_s: float = 600) -> str:
        """Run a command; returns what it prints on standard output. Raises EngineError."""
        done = self.attempt(*arguments, timeout_s=timeout_s)
        if done.returncode != 0:
            raise EngineError(
                f"{' '.join(arguments)[:200]}\n{done.stdout[-4000:]}{done.stderr[-4000:]}"
            )
        return done.stdout

    def attempt(self, *arguments: str, timeout_s: float = 600) -> subprocess.CompletedProcess[str]:
        """Run a command that may fail."""
        return subprocess.run(
            [self.client, *arguments],
            env=_environment(),
            capture_output=True,
            text=True,
            timeout=timeout_s,
            check=False,
        )

    def stream(self, *arguments: str) -> subprocess.Popen[bytes]:
        """Start a command whose output is read as it comes."""
        return subprocess.Popen(
            [self.client, *arguments], env=_environment(), stdout=subprocess.PIPE
        )

    def build(
        self,
        dockerfile: Path,
        tag: str,
        context: Path = ROOT,
        *options: str,
        timeout_s: float = 3600,
    ) -> float:
        """Build an image; returns the seconds it took. Raises EngineError."""
        started = time.monotonic()
        self.do(
            *(
                "build",
                "--network",
                "host",
                "--progress",
                "plain",
                "--file",
                str(dockerfile),
                "--tag",
                tag,
            ),
            *_proxies(),
            *options,
            str(context),
            timeout_s=timeout_s,
        )
        return time.monotonic() - started

    def image(self, tag: str) -> dict[str, Any]:
        """What the engine knows of an image. Raises EngineError where there is none."""
        return dict(json.loads(self.do("image", "inspect", tag))[0])

    def container(self, name: str) -> dict[str, Any]:
        """What the engine knows of a container."""
        return dict(json.loads(self.do("container", "inspect", name))[0])

    def has(self, tag: str) -> bool:
        """Whether the engine holds an image."""
        return self.attempt("image", "inspect", tag).returncode == 0


def find() -> Engine | None:
    """The client that DOCKER names, or the first `docker` on PATH, behind which an engine answers
    and which can build with BuildKit.
    """
    return next((Engine(client) for client in _clients() if _can_build(client)), None)


def _clients() -> Iterator[str]:
    if named := os.environ.get("DOCKER"):
        yield named
        return
    for folder in os.environ.get("PATH", os.defpath).split(os.pathsep):
        if found := shutil.which("docker", path=folder):
            yield found


def _can_build(client: str) -> bool:
    try:
        version = _ask(client, "version", "--format", "{{.Client.Version}} {{.Server.Version}}")
        major = re.match(r"\d+", version.stdout)
        if version.returncode != 0 or major is None:
            return False
        return (
            int(major[0]) <= _LAST_WITHOUT_BUILDX
            or _ask(client, "buildx", "version").returncode == 0
        )
    except (OSError, subprocess.TimeoutExpired):
        return False


def _ask(client: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [client, *arguments], capture_output=True, text=True, timeout=60, check=False
    )


def _environment() -> dict[str, str]:
    return {**os.environ, "DOCKER_BUILDKIT": "1"}


def _proxies() -> Iterator[str]:
    """The machine's proxies for the steps of a build; these arguments are predefined and stay out
    of the image.
    """
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY"):
        for variable in (name, name.lower()):
            if variable in os.environ:
                yield from ("--build-arg", variable)


if __name__ == "__main__":
    answering = find()
    print(f"engine: {answering.client}" if answering else "engine: none answers")
    sys.exit(answering is None)
