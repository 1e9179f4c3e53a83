"""The engine, the built images, and the platform to run them on."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.images.base import base_image
from tests.images.build import ROLES, build
from tests.images.engine import Engine, find
from tests.images.platform import Platform, platform


@pytest.fixture(scope="session")
def engine() -> Engine:
    """The engine that answers."""
    found = find()
    assert found, "no container engine answers"
    return found


@pytest.fixture(scope="session")
def base(engine: Engine) -> str:
    """The base that the images are built on."""
    return base_image(engine)


@pytest.fixture(scope="session")
def images(engine: Engine, base: str) -> dict[str, str]:
    """All four images, built from this working tree; role → tag."""
    return {role: build(engine, role, base).tag for role in ROLES}


@pytest.fixture(scope="session")
def running(
    engine: Engine, images: dict[str, str], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Platform]:
    """The emulator in its container, with no workers yet."""
    folder: Path = tmp_path_factory.mktemp("platform")
    folder.chmod(0o755)
    with platform(engine, folder) as started:
        yield started
