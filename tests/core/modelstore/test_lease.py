"""The lease on a folder, among processes of this machine and of another one."""

from __future__ import annotations

import contextlib
import logging
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import filelock._soft
import pytest

from core.modelstore.lease import lease

ROOT = Path(__file__).parents[3]
BEAT_S, STALE_S = 0.2, 2.0
OWNER = """
import socket, sys, time
from pathlib import Path
folder, host, beat_s, stale_s, held_s = sys.argv[1:]
if host:
    socket.gethostname = lambda: host
from core.modelstore.lease import lease
with lease(Path(folder), beat_s=float(beat_s), stale_s=float(stale_s)):
    with Path(folder, "journal").open("a", buffering=1) as journal:
        journal.write("in\\n")
        print("held", flush=True)
        time.sleep(float(held_s))
        journal.write("out\\n")
"""
"""Holds the lease until it is killed or its time is over; a host makes it look like another one."""


@pytest.fixture
def begin(tmp_path: Path) -> Iterator[Callable[..., subprocess.Popen[str]]]:
    """Start owners of the folder's lease."""
    with contextlib.ExitStack() as stack:

        def start(held_s: float, host: str = "") -> subprocess.Popen[str]:
            arguments = [str(tmp_path), host, str(BEAT_S), str(STALE_S), str(held_s)]
            process = subprocess.Popen(
                [sys.executable, "-c", OWNER, *arguments],
                cwd=ROOT,
                text=True,
                stdout=subprocess.PIPE,
            )
            stack.callback(process.communicate)
            stack.callback(process.kill)
            return process

        yield start


@pytest.fixture
def killed(begin) -> Callable[[str], None]:
    """Let a process take the lease and kill it, so that it leaves its file behind."""

    def kill(host: str) -> None:
        process = begin(60, host)
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n"
        process.send_signal(signal.SIGKILL)
        process.wait()

    return kill


@pytest.fixture
def take(tmp_path: Path, caplog) -> Callable[[], tuple[float, list[str]]]:
    """Take the lease; return how long that took and what was logged."""

    def timed() -> tuple[float, list[str]]:
        started = time.monotonic()
        with caplog.at_level(logging.INFO), lease(tmp_path, beat_s=BEAT_S, stale_s=STALE_S):
            waited_s = time.monotonic() - started
            assert (tmp_path / ".lock").exists()
        assert [path.name for path in tmp_path.iterdir()] in ([], ["journal"])
        return waited_s, [record.getMessage().partition(": ")[0] for record in caplog.records]

    return timed


def test_only_one_of_several_processes_holds_it(begin, tmp_path):
    """Of three processes each holds the lease in turn."""
    processes = [begin(0.3) for _ in range(3)]
    assert [process.wait(60) for process in processes] == [0, 0, 0]
    assert (tmp_path / "journal").read_text().split() == ["in", "out"] * 3


@pytest.mark.parametrize("host", ["", "another-machine"])
def test_a_living_owner_keeps_it(begin, take, host):
    """An owner that holds the lease for longer than the limit is waited for; one line says so."""
    process = begin(2 * STALE_S, host)
    assert process.stdout is not None
    assert process.stdout.readline() == "held\n"
    waited_s, said = take()
    assert waited_s > STALE_S
    assert process.wait(10) == 0
    assert said == ["waiting"]


def test_owner_killed_on_another_machine_is_waited_out(killed, take, tmp_path):
    """Its lease is taken over once nobody has touched it for the limit; one line says so."""
    killed("another-machine")
    waited_s, said = take()
    assert STALE_S <= waited_s < 3 * STALE_S
    assert said == ["waiting", tmp_path.name]


def test_owner_killed_on_this_machine_is_not_waited_for(killed, take, tmp_path):
    """Its process is known to be gone, so its lease is taken over at once."""
    killed("")
    waited_s, said = take()
    assert waited_s < STALE_S
    assert said == [tmp_path.name]


def test_a_file_system_that_cannot_exchange_names_is_no_obstacle(
    killed, take, tmp_path, monkeypatch
):
    """A killed owner's lease is taken over there too, where filelock by itself waits for ever."""
    killed("another-machine")
    monkeypatch.setattr(filelock._soft, "exchange_names", lambda *_: False)
    waited_s, said = take()
    assert STALE_S <= waited_s < 4 * STALE_S
    assert said == ["waiting", tmp_path.name]


@pytest.mark.parametrize("content", ["", "0123456789abcdef"], ids=["empty", "unknown"])
def test_a_file_of_no_owner_is_taken_over(take, tmp_path, content):
    """A file that a crash or another program left stops nobody, whatever its date."""
    (tmp_path / ".lock").write_text(content)
    os.utime(tmp_path / ".lock", (4e9, 4e9))
    waited_s, said = take()
    assert waited_s < 4 * STALE_S
    assert said[0] == "waiting"


def test_a_folder_that_cannot_hold_it_is_an_error(tmp_path):
    """It is raised at once instead of being waited out."""
    (tmp_path / ".lock").mkdir()
    with pytest.raises(IsADirectoryError), lease(tmp_path):
        pass
