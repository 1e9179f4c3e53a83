"""OpenAI's prompt and keywords, as hints for models that take some."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import pytest
from pydantic import Field

from core.domain.request import SingleRequest
from core.domain.watch import Watch
from core.errors import InvalidRequest
from core.wire.job_input import SingleInput
from handlers.openai import asking
from handlers.openai.multipart import Upload
from handlers.openai.roles import ROLES, Role
from tests.handlers.openai.served import Obedient, Served, served

NO_HINTS = "prompt has no effect: the speech model takes no hints"


@dataclass(frozen=True)
class HintedRequest(SingleRequest):
    """A request with terms."""

    terms: tuple[str, ...] = ()


class Hinted(SingleInput):
    """The input of a worker that knows the field."""

    keyterms: tuple[str, ...] = Field(default=(), strict=False)

    @property
    def request(self) -> SingleRequest:
        """The request in it."""
        plain = super().request
        same = {one.name: getattr(plain, one.name) for one in fields(SingleRequest)}
        return HintedRequest(**same, terms=self.keyterms)


class Deaf(Obedient):
    """A flow whose model takes no hints."""

    def run(self, request: Any, watch: Watch) -> Any:
        """Refuse them."""
        if request.terms:
            self.requests.append(request)
            raise InvalidRequest("keyterms are not known to this model")
        return super().run(request, watch)


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Served]:
    """A server whose flow has the field."""
    monkeypatch.setitem(ROLES, "single", Role(Hinted, ROLES["single"].load))
    with served(tmp_path) as running:
        yield running


def terms(**given: list[str]) -> tuple[str, ...]:
    """The terms that a form's fields become."""
    found: tuple[str, ...] = asking.read(Upload(given, Path("f")), Hinted, ()).request.terms
    return found


def test_a_prompt_and_keywords_are_terms() -> None:
    """What is between commas and full stops, after the keywords; nothing too long, nor too many."""
    assert terms(prompt=["Kevin, Carla. The  mill;\nYork"]) == (
        "Kevin",
        "Carla",
        "The  mill",
        "York",
    )
    assert terms(prompt=["Kevin"], keywords=["Ada", "York"]) == ("Ada", "York", "Kevin")
    assert terms(prompt=["x" * 201 + ", Kevin"]) == ("Kevin",)
    assert len(terms(prompt=["Kevin," * 1000])) == 100


def test_our_own_field_has_the_last_word() -> None:
    """As a list of fields or as JSON."""
    assert terms(prompt=["Kevin"], keyterms=["Ada", "York"]) == ("Ada", "York")
    assert terms(keyterms=['["Ada", "York"]']) == ("Ada", "York")


def test_a_model_that_takes_hints_gets_them(server: Served) -> None:
    """In one attempt, without a warning."""
    assert server.transcribe(prompt="Kevin").json["warnings"] == []
    assert [request.terms for request in server.flow.requests] == [("Kevin",)]


@pytest.mark.parametrize("stream", ["false", "true"])
def test_a_model_that_takes_none_works_without(server: Served, stream: str) -> None:
    """A prompt is no reason to refuse a recording; a warning tells that it changed nothing."""
    deaf = Deaf()
    server.app.use(deaf)
    reply = server.transcribe(prompt="Kevin", stream=stream)
    assert reply.status == 200
    assert stream == "true" or reply.json["warnings"] == [NO_HINTS]
    assert [request.terms for request in deaf.requests] == [("Kevin",), ()]


def test_terms_of_our_own_are_refused_by_a_model_that_takes_none(server: Served) -> None:
    """Whoever names the field means it."""
    server.app.use(Deaf())
    reply = server.transcribe(keyterms="Kevin")
    assert (reply.status, reply.error["code"]) == (400, "invalid_request")


def test_a_flow_without_the_field_is_not_asked() -> None:
    """The warning is there at once."""
    for prompt, warnings in (("Kevin", (NO_HINTS,)), (" ", ())):
        given = {"prompt": [prompt]}
        kind: Any = SingleInput
        question = asking.read(Upload(given, Path("f")), kind, ())
        told = question if question.without_hints is None else question.without_hints
        assert told.warnings == warnings
