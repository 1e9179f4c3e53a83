"""Each job has a private folder; a disk that fails is told by one error, at the start too."""

from __future__ import annotations

import base64
import errno
import os
import re
import stat
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from core.errors import Cancelled, DiskFailed, SettingsError
from core.media.job_folder import check_temp_dir, disk_errors, job_folder
from tests.core.media.sources import BODY, get

ROOT = Path(__file__).parents[3]


def test_a_job_folder_is_private_and_gone_afterwards(tmp_path: Path) -> None:
    """With all its content; what is missing above it is made, and the folder of folders is private
    too.
    """
    temp_dir = tmp_path / "new" / "temp"
    with job_folder(temp_dir) as folder:
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700
        assert stat.S_IMODE(temp_dir.stat().st_mode) == 0o700
        (folder / "deep").mkdir()
        (folder / "deep" / "file").write_bytes(b"x")
    assert not any(temp_dir.iterdir())


@pytest.mark.parametrize("kind", [KeyboardInterrupt, SystemExit, Cancelled, RuntimeError, OSError])
def test_a_job_folder_is_gone_after_any_exception(
    kind: type[BaseException], tmp_path: Path
) -> None:
    """Even one that is no error; what a job raises stays what it is."""
    with pytest.raises(kind) as caught, job_folder(tmp_path):
        raise kind
    assert type(caught.value) is kind
    assert not any(tmp_path.iterdir())


def test_two_jobs_have_two_folders(tmp_path: Path) -> None:
    """At the same time."""
    with job_folder(tmp_path) as one, job_folder(tmp_path) as two:
        assert one != two


def _link(folder: Path) -> None:
    (folder.parent / "elsewhere").mkdir()
    folder.symlink_to(folder.parent / "elsewhere")


def _dangling(folder: Path) -> None:
    folder.symlink_to(folder.parent / "nowhere")


def _open_to_all(folder: Path) -> None:
    folder.mkdir()
    folder.chmod(0o777)


def _file(folder: Path) -> None:
    folder.write_text("no folder")


def _below_a_file(folder: Path) -> None:
    folder.parent.rmdir()
    folder.parent.write_text("no folder")


WRONG: list[tuple[Callable[[Path], None], str]] = [
    (_link, "is a link"),
    (_dangling, r"File exists|is a link"),
    (_open_to_all, "everybody may write"),
    (_file, "File exists"),
    (_below_a_file, "Not a directory|File exists"),
]


@pytest.mark.parametrize(("make", "words"), WRONG)
def test_a_folder_that_others_could_change_is_refused(
    make: Callable[[Path], None], words: str, tmp_path: Path
) -> None:
    """Another try would not help; no message holds the path."""
    (tmp_path / "above").mkdir()
    make(tmp_path / "above" / "temp")
    with pytest.raises(DiskFailed, match=words) as caught, job_folder(tmp_path / "above" / "temp"):
        pass
    assert not caught.value.retryable
    assert str(tmp_path) not in str(caught.value)


def test_another_user_s_folder_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """That user could exchange a job's folder for another."""
    if os.geteuid() == 0:
        os.chown(tmp_path, 65_534, 65_534)
    else:
        monkeypatch.setattr(os, "geteuid", lambda: 65_534)
    with pytest.raises(DiskFailed, match="another user's"), job_folder(tmp_path):
        pass


@pytest.mark.parametrize("mode", [0o700, 0o755, 0o2775, 0o1777])
def test_a_folder_of_our_own_may_be_readable(mode: int, tmp_path: Path) -> None:
    """As `/tmp` is, where nobody can rename what is another's."""
    tmp_path.chmod(mode)
    with job_folder(tmp_path) as folder:
        assert folder.is_dir()


@pytest.mark.parametrize(
    ("code", "retryable"),
    [
        (errno.ENOSPC, True),
        (errno.EDQUOT, True),
        (errno.EIO, True),
        (errno.EROFS, True),
        (errno.EMFILE, True),
        (errno.ENOMEM, True),
        (errno.EACCES, False),
        (errno.EPERM, False),
        (errno.ENOTDIR, False),
        (errno.ENAMETOOLONG, False),
    ],
)
def test_an_error_of_the_disk_says_whether_another_try_may_help(code: int, retryable: bool) -> None:
    """What passes, or is not so on another worker, is worth one."""
    with pytest.raises(DiskFailed) as caught, disk_errors():
        raise OSError(code, os.strerror(code), "/secret/path")
    assert caught.value.retryable is retryable
    assert "/secret" not in str(caught.value)


def test_a_full_disk_is_not_the_caller_s_fault(tmp_path: Path) -> None:
    """`/dev/full` has no room for anything."""
    (tmp_path / "recording").symlink_to("/dev/full")
    with pytest.raises(DiskFailed, match="disk is full") as caught:
        get(base64.b64encode(BODY).decode(), tmp_path)
    assert caught.value.retryable


def test_a_folder_that_vanished_is_an_error_of_the_disk(tmp_path: Path) -> None:
    """Somebody cleaned up."""
    with pytest.raises(DiskFailed, match="No such file"):
        get(base64.b64encode(BODY).decode(), tmp_path / "gone")


def test_a_file_that_cannot_grow_is_an_error_of_the_disk(tmp_path: Path) -> None:
    """The process has a limit on the size of files."""
    code = f"""
import resource, signal
from pathlib import Path
from core.errors import DiskFailed
from tests.core.media.sources import get
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))
try:
    get("A" * 400_000, Path({str(tmp_path)!r}))
except DiskFailed as error:
    print(error)
"""
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert "File too large" in done.stdout


def test_the_check_leaves_nothing(tmp_path: Path) -> None:
    """But the folder itself."""
    check_temp_dir(tmp_path / "temp")
    assert list((tmp_path / "temp").iterdir()) == []


@pytest.mark.parametrize(("make", "words"), WRONG)
def test_a_wrong_folder_is_a_wrong_setting(
    make: Callable[[Path], None], words: str, tmp_path: Path
) -> None:
    """The line names the variable."""
    (tmp_path / "above").mkdir()
    make(tmp_path / "above" / "temp")
    with pytest.raises(SettingsError, match=f"^TEMP_DIR: .*({words})"):
        check_temp_dir(tmp_path / "above" / "temp")


@pytest.mark.parametrize("role", ["single", "transcription", "diarization"])
def test_a_worker_with_a_wrong_folder_ends_at_once(role: str, tmp_path: Path) -> None:
    """With exit code 1 and one line, before it looks for a model."""
    (tmp_path / "temp").write_text("no folder")
    environment = {**os.environ, "TEMP_DIR": str(tmp_path / "temp"), "MODEL_ID": "/none"}
    done = subprocess.run(
        [sys.executable, "-m", f"handlers.{role}"],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    lines = [line for line in done.stderr.splitlines() if not line.startswith("INFO")]
    assert len(lines) == 1
    assert re.match("invalid_settings: TEMP_DIR: .*File exists", lines[0])
