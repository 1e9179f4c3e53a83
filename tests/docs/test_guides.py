"""The guides against the code: every block is run or validated, every link leads somewhere, every
error code and name is known.

A block says by its mark which check it gets; one that has no check fails the first test here.
"""

from __future__ import annotations

import inspect
import random
import re
from pathlib import Path

import pytest
from pydantic import TypeAdapter
from runpod.serverless.modules import rp_fitness

from core import errors
from core.domain.codes import SECOND_CODES
from core.errors import SettingsError, WorkerError
from core.flows import orchestrated
from core.settings import Settings
from core.wire.job_input import (
    AudioInput,
    DiarizationInput,
    OrchestratorInput,
    SingleInput,
    TranscriptionInput,
    parse,
)
from emulator.api import JobBody
from handlers.runpod import worker
from tests.docs.pages import (
    DOCS,
    GUIDES,
    ROOT,
    Block,
    anchors,
    blocks,
    prose,
    read,
    rows,
    without_blocks,
)
from tests.docs.test_settings import documented

ROLES: dict[str, type[AudioInput]] = {
    "single": SingleInput,
    "orchestrator": OrchestratorInput,
    "transcription": TranscriptionInput,
    "diarization": DiarizationInput,
}
CHECKED = {
    ("sh", ""),  # tests/docs/test_commands.py
    ("json", "printed"),  # tests/docs/test_commands.py
    ("json", "log"),  # tests/handlers/test_logs.py
    ("json", "request"),
    ("json", "body"),
    ("env", "role"),
    ("python", "formula"),
    ("python", "client"),  # tests/docs/test_commands.py
    ("text", "diagram"),
}
OF_THE_ORCHESTRATOR = {
    "DIARIZATION_ENDPOINT_ID", "TRANSCRIPTION_ENDPOINT_ID", "RUNPOD_API_KEY",
    "RUNPOD_ENDPOINT_BASE_URL",
    "TRANSCRIPTION_FANOUT", "DIARIZATION_FANOUT", "JOB_TIMEOUT",
}  # fmt: skip
OTHER_NAMES = {
    # the platform's, a guide's own, a build argument
    "RUNPOD_INIT_TIMEOUT", "ORCHESTRATOR_ENDPOINT_ID", "BAKE_MODELS", "MODEL_REVISION",
    "IN_QUEUE", "IN_PROGRESS", "COMPLETED", "FAILED", "TIMED_OUT",
    "AMPERE_16", "AMPERE_24", "ADA_24",
    "DEBUG", "CHANGELOG", "README",
}  # fmt: skip


def _all(language: str, mark: str = "") -> list[object]:
    found = [
        block
        for page in GUIDES
        for block in blocks(page)
        if (block.language, block.mark) == (language, mark)
    ]
    return [pytest.param(block, id=f"{block.page}-{block.number}") for block in found]


def _leaves(kind: type[WorkerError] = WorkerError) -> list[type[WorkerError]]:
    return [leaf for child in kind.__subclasses__() for leaf in _leaves(child)] or [kind]


@pytest.mark.parametrize("page", GUIDES)
def test_every_block_has_a_mark_that_is_checked(page: str) -> None:
    """No block goes unchecked, nor one that is not closed or does not begin a line."""
    assert len(blocks(page)) * 2 == read(page).count("```")
    assert {(block.language, block.mark) for block in blocks(page)} <= CHECKED


def test_every_page_is_checked_somewhere() -> None:
    """A page that is added to docs/ is a guide, or has tests of its own."""
    others = {
        "API",
        "CLI",
        "OPENAI",
        "settings",
        "measurements",
        "images",
        "cold-start",
        "glossary",
    }
    assert {path.stem for path in DOCS.glob("*.md")} - others == set(GUIDES)


# blocks


@pytest.mark.parametrize("block", _all("json", "request"))
def test_every_request_is_taken_by_its_role(block: Block) -> None:
    """Parsed as the worker parses it."""
    assert parse(ROLES[block.value], block.json["input"]).recording.source.value


@pytest.mark.parametrize("block", _all("json", "body"))
def test_every_whole_body_is_one_of_the_platform(block: Block) -> None:
    """Its fields are the platform's, and its input one of the role's."""
    body = TypeAdapter(JobBody).validate_python(block.json)
    known = {name for field, info in JobBody.model_fields.items() for name in (field, info.alias)}
    assert set(block.json) <= known
    assert set(block.json.get("policy", {})) <= {"executionTimeout", "ttl", "lowPriority"}
    assert parse(ROLES[block.value], body.input).recording.source.value


@pytest.mark.parametrize("block", _all("env", "role"))
def test_every_environment_is_that_of_its_role(
    block: Block, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Known variables with values that the settings take, none of another role, and secrets where
    secrets belong.
    """
    given = dict(line.split("=", 1) for line in block.text.splitlines())
    fields = {name.upper(): field for name, field in Settings.model_fields.items()}
    assert set(given) <= set(fields)
    for name, value in given.items():
        assert ("SecretStr" in str(fields[name].annotation)) == value.startswith(
            "{{ RUNPOD_SECRET_"
        ), name
        monkeypatch.setenv(name, re.sub(r"\{\{ RUNPOD_SECRET_\w+ \}\}", "secret", value))
    foreign = (
        OF_THE_ORCHESTRATOR
        if block.value != "orchestrator"
        else {"MODEL_ID", "DIARIZATION_MODEL_ID", "HUGGINGFACE_ACCESS_TOKEN"}
    )
    assert not foreign & set(given)
    settings = Settings.from_environment()
    assert all(str(getattr(settings, name.lower())) for name in given)
    if block.value == "orchestrator":
        assert orchestrated.load(settings).settings is settings


def test_an_orchestrator_without_its_endpoints_would_be_noticed() -> None:
    """The check above can fail."""
    with pytest.raises(SettingsError):
        orchestrated.load(Settings())


# formulas


def _formulas(page: str) -> list[tuple[str, str]]:
    lines = [
        line
        for block in blocks(page)
        if block.mark == "formula"
        for line in block.text.splitlines()
    ]
    return [
        (name.strip(), expression) for name, expression in (line.split("=", 1) for line in lines)
    ]


def _evaluated(page: str, chance: random.Random, **given: float) -> dict[str, float]:
    """All names of a page's formulas with drawn values, and what the formulas make of them."""
    values: dict[str, float] = {}
    for name, expression in _formulas(page):
        for symbol in re.findall(r"[a-z]\w*", expression):
            if symbol != "max":
                values.setdefault(symbol, given.get(symbol, chance.uniform(1, 100)))
        values[name] = eval(expression, {"__builtins__": {}, "max": max}, values)
    return values


@pytest.mark.parametrize("page", ["DEPLOYMENT_COMPARISON", "OPERATIONS"])
def test_every_symbol_of_a_formula_is_explained(page: str) -> None:
    """On the page, in code: its own name, or a setting's."""
    symbols = {
        symbol
        for _, expression in _formulas(page)
        for symbol in re.findall(r"[a-z]\w*", expression)
    }
    made = {name for name, _ in _formulas(page)}
    explained = set(re.findall(r"`(\w+)`", prose(page)))
    assert {
        symbol
        for symbol in symbols - made - {"max"}
        if symbol not in explained and symbol.upper() not in explained
    } == set()


def test_the_comparison_says_of_its_formulas_what_is_true_of_them() -> None:
    """Whatever the figures, the claims under the formulas hold."""
    chance = random.Random(4)
    for _ in range(500):
        one = _evaluated("DEPLOYMENT_COMPARISON", chance)
        assert one["orchestrated"] > one["split"]
        assert max(one["wait_single"], one["wait_in_turn"]) >= one["get_s"]
        assert one["wait_at_once"] <= one["wait_in_turn"]
        price, starts = chance.uniform(1, 9), chance.uniform(1, 50)
        equal = dict.fromkeys(("price_both", "price_words", "price_turns"), price) | dict.fromkeys(
            ("starts", "starts_words", "starts_turns"), starts
        )
        same = _evaluated("DEPLOYMENT_COMPARISON", chance, **equal)
        gain = same["jobs"] * (same["single_s"] - same["words_s"] - same["turns_s"] - same["get_s"])
        cost = starts * (
            same["start_words_s"] + same["start_turns_s"] - same["start_s"] + same["idle_s"]
        )
        assert (same["split"] < same["single"]) == (gain > cost)


def test_the_worked_example_is_what_the_formulas_make_of_its_figures() -> None:
    """Each figure of the example, from the table of its symbols."""
    page = read("DEPLOYMENT_COMPARISON")
    given: dict[str, float] = {}
    for names, values in rows(page, "A worked example"):
        symbols = re.findall(r"`(\w+)`", names)
        given |= dict(zip(symbols, map(float, values.split(", ")), strict=True))
    made = _evaluated("DEPLOYMENT_COMPARISON", random.Random(1), **given)
    cells = " ".join(cell for row in rows(page, "What the example costs") for cell in row)
    told = re.findall(r"`(\w+)` = ([\d,.]+\d)", cells)
    assert len(told) >= 8
    for name, value in told:
        assert made[name] == pytest.approx(float(value.replace(",", ""))), name


def test_the_timeouts_formula_leaves_room() -> None:
    """For the download and the work, also of a host that is a little slower than the one it was
    measured on.
    """
    one = _evaluated("OPERATIONS", random.Random(1))
    assert (
        one["execution_timeout_s"]
        > one["download_timeout_s"] + one["longest_recording_s"] * one["real_time_factor"]
    )


# names, links, codes


MARKDOWN = sorted(
    path
    for pattern in ("*.md", "*/*.md", "docs/**/*.md", ".github/**/*.md", "models/**/*.md")
    for path in ROOT.glob(pattern)
)


@pytest.mark.parametrize("page", MARKDOWN, ids=lambda path: str(path.relative_to(ROOT)))
def test_no_link_leads_nowhere(page: Path) -> None:
    """On any page of the repository: neither to a file nor to a heading of one."""
    dead = []
    for target in re.findall(r"\]\(([^)\s]+)\)", without_blocks(page.read_text("utf-8"))):
        if target.startswith("https://"):
            continue
        name, _, anchor = target.partition("#")
        path = page.parent / name if name else page
        if not path.exists() or (anchor and anchor not in anchors(path.read_text("utf-8"))):
            dead.append(target)
    assert dead == []


@pytest.mark.parametrize("page", GUIDES)
def test_every_guide_links_the_glossary(page: str) -> None:
    """A reader can look a word up from any guide."""
    assert "](glossary.md)" in prose(page)


@pytest.mark.parametrize("page", GUIDES)
def test_every_variable_that_is_named_exists(page: str) -> None:
    """In the settings, or among the platform's words."""
    named = set(re.findall(r"`([A-Z][A-Z0-9]*(?:_[A-Z0-9]+)*)`", prose(page)))
    assert {name for name in named if len(name) > 3} - set(documented()) - OTHER_NAMES == set()


def test_every_error_code_has_advice_for_the_operator() -> None:
    """Those of core/errors.py, that which only stops a worker at start too, and no other."""
    told = [row[0].strip("`") for row in rows(read("OPERATIONS"), "Error codes")]
    codes = {leaf.code for leaf in _leaves()} | SECOND_CODES
    assert sorted(told) == sorted(codes)
    assert errors.SettingsError.code in told


def test_every_line_that_ends_a_start_begins_with_a_code() -> None:
    """Or with the SDK's words and the name of our check."""
    cells = [row[0] for row in rows(read("OPERATIONS"), "A worker does not start")]
    codes = {code for cell in cells for code in re.findall(r"^`(\w+): `$", cell)}
    assert {"invalid_settings", "model_access_denied"} < codes <= {leaf.code for leaf in _leaves()}
    sdk = inspect.getsource(rp_fitness)
    for cell in set(cells) - {f"`{code}: `" for code in codes}:
        words, check = re.fullmatch(r"`(.+: )(\w*)`.*", cell).groups()  # type: ignore[union-attr]
        assert words in sdk
        assert f"def {check}" in inspect.getsource(worker)


def test_every_line_of_the_log_is_written_by_the_code() -> None:
    """The text between the variable parts is one string of a logging call in core/ or handlers/."""
    sources = [
        path.read_text(encoding="utf-8")
        for folder in ("core", "handlers")
        for path in (ROOT / folder).rglob("*.py")
    ]
    formats = [
        text
        for source in sources
        for text in re.findall(r'log\.\w+\(\s*f?"((?:[^"\\]|\\.)*)"', source)
    ]
    lines = [row[0].strip("`") for row in rows(read("OPERATIONS"), "The log")]
    assert len(lines) >= 8
    for line in lines:
        pattern = "%[^ ]+".join(re.escape(part) for part in re.split(r"<[^>]+>", line))
        assert any(re.match(pattern, text) for text in formats), line


def test_every_deployment_file_is_in_the_overview() -> None:
    """And every file in the overview is there."""
    named = set(re.findall(r"^\| `([^`]+)` \|", read("RUNPOD_FILES_OVERVIEW"), re.MULTILINE))
    assert {name for name in named if not (ROOT / name).exists()} == set()
    patterns = (
        "Dockerfile*",
        "build-docker.sh",
        ".dockerignore",
        "Makefile",
        ".pre-commit-config.yaml",
        ".runpod/*",
        ".github/*.yml",
        ".github/workflows/*",
        ".ci/*",
        "requirements/*",
        "handlers/*.flac",
    )
    found = [path for pattern in patterns for path in ROOT.glob(pattern)]
    assert {str(path.relative_to(ROOT)) for path in found if path.is_file()} - named == set()


def test_the_makefiles_targets_in_the_overview_exist() -> None:
    """All that are named."""
    (row,) = [
        row for row in rows(read("RUNPOD_FILES_OVERVIEW"), "Automation") if row[0] == "`Makefile`"
    ]
    targets = set(
        re.findall(r"^([\w-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE)
    )
    assert set(re.findall(r"`([\w-]+)`", row[1])) <= targets
