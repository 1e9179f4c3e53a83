"""One Chromium for all tests of the page."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import BrowserContext, Page

from core.domain.timeline import Transcript
from tests.page.browser import axe_script, chromium, opened
from tests.page.transcripts import page_of

Open = Callable[[Transcript], Page]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark all tests of this folder."""
    here = Path(__file__).parent
    for item in items:
        if here in item.path.parents:
            item.add_marker(pytest.mark.page)


@pytest.fixture(scope="session")
def browser() -> Iterator[BrowserContext]:
    """Chromium, whose downloads are taken."""
    with chromium(accept_downloads=True, viewport={"width": 1200, "height": 900}) as context:
        yield context


@pytest.fixture
def show(browser: BrowserContext, tmp_path: Path) -> Iterator[Open]:
    """Show a transcript's page; close all tabs at the end."""
    pages: list[Page] = []

    def show(transcript: Transcript) -> Page:
        pages.append(opened(browser, page_of(transcript), tmp_path))
        return pages[-1]

    yield show
    for page in pages:
        page.close()


@pytest.fixture(scope="session")
def axe(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The script of axe-core."""
    return axe_script(tmp_path_factory.mktemp("axe"))
