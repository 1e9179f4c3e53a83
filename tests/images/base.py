"""The base of the images: the Dockerfiles' own where it can be had, else a stand-in of this
machine's Debian archive.

The stand-in is the smallest Debian with its python3 (debootstrap; needs root): trixie, whose 3.13
is nearer to the Dockerfiles' 3.12 than the 3.11.2 of bookworm, with which NeMo's own way of reading
models does not work. What this machine needs to reach a package index, its certificates and the
address of the index, is copied into the stand-in, so that the Dockerfiles build on it as they are.
"""

from __future__ import annotations

import json
import os
import shutil
import ssl
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from tests.images.engine import ROOT, Engine, EngineError, find

SUITE = "trixie"
STAND_IN = f"parakeet-test/base:{SUITE}"
CERTIFICATES = Path("etc/ssl/certs/ca-certificates.crt")
PULL_TIMEOUT_S = 300
_SUPERFLUOUS = (
    "var/cache/apt",
    "var/lib/apt/lists",
    "var/log",
    "usr/share/doc",
    "usr/share/info",
    "usr/share/locale",
    "usr/share/man",
)


def base_image(engine: Engine) -> str:
    """The image that BASE_IMAGE names, the Dockerfiles' default, or the stand-in, which is made
    once. Raises EngineError.
    """
    if named := os.environ.get("BASE_IMAGE"):
        return named
    if engine.has(STAND_IN):
        return STAND_IN
    default = _default()
    if engine.has(default) or _pull(engine, default):
        return default
    _make_stand_in(engine)
    return STAND_IN


def _default() -> str:
    first = next(
        line
        for line in (ROOT / "Dockerfile").read_text().splitlines()
        if line.startswith("ARG BASE_IMAGE=")
    )
    return first.partition("=")[2]


def _pull(engine: Engine, image: str) -> bool:
    try:
        return engine.attempt("pull", "--quiet", image, timeout_s=PULL_TIMEOUT_S).returncode == 0
    except subprocess.TimeoutExpired:
        return False


def _make_stand_in(engine: Engine) -> None:
    if os.geteuid() != 0 or shutil.which("debootstrap") is None:
        raise EngineError(
            "the base image cannot be pulled, and a stand-in needs root and debootstrap"
        )
    with tempfile.TemporaryDirectory(prefix="parakeet-base-") as folder:
        root = Path(folder) / "root"
        _debootstrap(root)
        for name in _SUPERFLUOUS:
            shutil.rmtree(root / name)
            (root / name).mkdir()
        machine = Path(ssl.get_default_verify_paths().cafile or f"/{CERTIFICATES}")
        shutil.copyfile(machine, root / CERTIFICATES)
        _import(engine, root)


def _debootstrap(root: Path) -> None:
    packages = "--include=ca-certificates,python3,python3-venv"
    done = subprocess.run(
        ["debootstrap", "--variant=minbase", packages, SUITE, str(root), *_mirror()],
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        raise EngineError(f"debootstrap failed:\n{done.stdout[-2000:]}{done.stderr[-2000:]}")


def _mirror() -> list[str]:
    """Where this machine takes Debian from; empty where it does not say, and debootstrap knows by
    itself.
    """
    command = ["apt-get", "indextargets", "--format", "$(SITE)", "Created-By: Packages"]
    sites = subprocess.run(command, capture_output=True, text=True, check=False).stdout.split()
    return [site for site in sites if site.rstrip("/").endswith("/debian")][:1]


def _import(engine: Engine, root: Path) -> None:
    with subprocess.Popen(["tar", "-C", str(root), "-c", "."], stdout=subprocess.PIPE) as tar:
        changes = [
            part
            for name, value in _environment()
            for part in ("--change", f"ENV {name}={json.dumps(value)}")
        ]
        imported = subprocess.run(
            [engine.client, "import", *changes, "-", STAND_IN],
            stdin=tar.stdout,
            capture_output=True,
            check=False,
        )
    if tar.returncode or imported.returncode:
        raise EngineError(f"the stand-in base was not imported: {imported.stderr.decode()[-2000:]}")


def _environment() -> Iterator[tuple[str, str]]:
    """How this machine reaches a package index, for pip and uv."""
    yield from ((name, f"/{CERTIFICATES}") for name in ("SSL_CERT_FILE", "PIP_CERT"))
    listed = subprocess.run(
        [sys.executable, "-m", "pip", "config", "list"], capture_output=True, text=True, check=False
    ).stdout
    configured = {
        key.rpartition(".")[2]: value.strip("'")
        for key, _, value in (line.partition("=") for line in listed.splitlines())
    }
    for key, pip, uv in (
        ("index-url", "PIP_INDEX_URL", "UV_DEFAULT_INDEX"),
        ("extra-index-url", "PIP_EXTRA_INDEX_URL", "UV_INDEX"),
    ):
        addresses = [
            address for address in configured.get(key, "").split() if address.startswith("http")
        ]
        given = os.environ.get(uv, " ".join(addresses))
        if given:
            yield from ((pip, given), (uv, given))


if __name__ == "__main__":
    answering = find()
    try:
        print(
            f"base: {base_image(answering)}" if answering else "base: no container engine answers"
        )
    except EngineError as error:
        sys.exit(f"base: {error}")
    sys.exit(answering is None)
