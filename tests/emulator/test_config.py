"""The configuration file."""

from __future__ import annotations

from pathlib import Path

import pytest

from core.settings import Settings
from emulator import config, faults
from emulator.config import ConfigError
from emulator.scaler import Bounds

DEMO = Path(config.__file__).with_name("demo.toml")


def written(folder: Path, text: str) -> Path:
    """Write a file with this text."""
    path = folder / "emulator.toml"
    path.write_text(text)
    return path


def test_the_demo_has_all_four_roles_always_on() -> None:
    """Each is behind the endpoint of its name, and the orchestrator calls the emulator."""
    demo = config.read(DEMO)
    assert {name: table.module for name, table in demo.endpoints.items()} == {
        name: f"handlers.{name}"
        for name in ("single", "diarization", "transcription", "orchestrator")
    }
    assert all(table.min_workers == 1 for table in demo.endpoints.values())
    orchestrator = demo.endpoints["orchestrator"].environment
    assert orchestrator["RUNPOD_ENDPOINT_BASE_URL"] == "{emulator}/v2"
    assert {
        orchestrator["DIARIZATION_ENDPOINT_ID"],
        orchestrator["TRANSCRIPTION_ENDPOINT_ID"],
    } <= demo.endpoints.keys()


def test_the_models_for_people_are_behind_three_roles() -> None:
    """The orchestrator and the two that it asks, whose paths are those of `make people`."""
    own = config.read(DEMO.with_name("people.toml")).endpoints
    assert set(own) == {"diarization", "transcription", "orchestrator"}
    assert all(table.min_workers == 1 for table in own.values())
    assert own["transcription"].environment["MODEL_ID"] == ".people/speech"
    paths = own["diarization"].environment["PYTHONPATH"].split(":")
    assert [path for path in paths if path.startswith("tests")] == ["tests/people/path"]
    assert (DEMO.parents[1] / "tests/people/path/sitecustomize.py").exists()


def test_the_demo_s_workers_fetch_from_this_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    """A newcomer's recording has no public URL."""
    endpoints = config.read(DEMO).endpoints
    for role in ("single", "diarization", "transcription"):
        for name, value in endpoints[role].environment.items():
            monkeypatch.setenv(name, value)
        assert Settings.from_environment().runpod_allow_private_download_urls
        monkeypatch.undo()


def test_a_file_says_how_an_endpoint_scales_and_what_goes_wrong(tmp_path: Path) -> None:
    """It can change the platform's numbers too."""
    read = config.read(
        written(
            tmp_path,
            """
            [rules]
            grace_s = 3
            retention = { run_s = 10 }
            [endpoints.echo]
            module = "tests.emulator.echo"
            max_workers = 2
            [endpoints.echo.faults]
            seed = 5
            rate = 1
            exchanges = { run = ["429"] }
            jobs = ["killed"]
            """,
        )
    )
    assert (read.rules.grace_s, read.rules.retention.run_s, read.rules.retention.runsync_s) == (
        3,
        10,
        60,
    )
    echo = read.endpoints["echo"]
    assert echo.bounds == Bounds(0, 2, 1, 5)
    assert echo.faults is not None
    schedule = echo.faults.schedule()
    assert isinstance(schedule.exchange("run"), faults.TooManyRequests)
    assert schedule.exchange("status") is None
    assert isinstance(schedule.job("hand-out"), faults.WorkerKilled)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[endpoints", "at end of document"),
        ("", "endpoints"),
        ("[endpoints.a]\nmodule=3", "endpoints.a.module"),
        ("[endpoints.a]\nmodule='m'\nworkers=3", "endpoints.a.workers"),
        ("[endpoints.a]\nmodule='m'\nmin_workers=3", "min_workers 3 is more than max_workers 1"),
        (
            "[endpoints.a]\nmodule='m'\n[endpoints.a.faults]\nseed=1\njobs=['gone']",
            "endpoints.a.faults.jobs.0",
        ),
        ("[endpoints.a]\nmodule='m'\n[rules]\ngrace=3", "there is no rule grace"),
        (
            "[endpoints.a]\nmodule='m'\n[try]\nendpoint='b'\nrecording='x'",
            "there is no endpoint 'b'",
        ),
    ],
)
def test_a_wrong_file_is_refused_in_one_line_that_names_the_place(
    tmp_path: Path, text: str, said: str
) -> None:
    """There is no traceback."""
    with pytest.raises(ConfigError) as error:
        config.read(written(tmp_path, text))
    assert said in str(error.value)
    assert "\n" not in str(error.value)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    """The message begins with its path."""
    with pytest.raises(ConfigError, match=r"gone\.toml: No such file"):
        config.read(tmp_path / "gone.toml")
