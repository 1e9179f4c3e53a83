"""A worker that is started where there is no RunPod does the job of test_input.json and ends."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
EMBEDDED = {"MODEL_ID": "embedded", "DIARIZATION_MODEL_ID": "embedded"}
NEVER_CALLED = {
    "cpuinfo",
    "torch._dynamo",
    "torch._inductor",
    "scipy.signal",
    "scipy.stats",
    "matplotlib",
    "onnxruntime",
    "paramiko",
    "transformers",
    "pandas",
    "sympy",
    "torchmetrics.functional.audio.snr",
    "torchmetrics.functional.image.psnr",
    "torchmetrics.functional.text.bleu",
}
"""Libraries that no worker calls: `core.engine.lazy_imports`."""
BY_NEMO = {
    "datasets",
    "lhotse",
    "numba",
    "onnx",
    "triton",
    "nemo.collections.asr.models.aed_multitask_models",
    "nemo.collections.audio",
}
"""Those of them that NeMo alone imports."""
BY_PYANNOTE = {
    "meeteval",
    "networkx",
    "opentelemetry",
    "optuna",
    "torch_audiomentations",
    "torchaudio.models",
    "torchcodec",
}
"""Those that pyannote alone imports."""
RUN = """
import runpy, sys
module = sys.argv.pop()
try:
    runpy.run_module(module, run_name="__main__", alter_sys=True)
finally:
    print("modules:", *sys.modules)
"""
"""Does what `python -m` does, then says what was imported."""


def worker(module: str, folder: Path, temp_dir: Path) -> subprocess.CompletedProcess[str]:
    """Run a worker to its end."""
    inherited = {
        name: value for name, value in os.environ.items() if not name.startswith("RUNPOD_")
    }
    return subprocess.run(
        [sys.executable, "-c", RUN, module],
        cwd=folder,
        env={**inherited, **EMBEDDED, "TEMP_DIR": str(temp_dir), "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )


@pytest.mark.parametrize(
    ("role", "said", "called", "never_called"),
    [
        (
            "single",
            "Speak louder, please",
            {"nemo", "pyannote.audio"},
            NEVER_CALLED | BY_NEMO | BY_PYANNOTE,
        ),
        (
            "transcription",
            "Speak louder, please",
            {"nemo.collections.asr.models.rnnt_bpe_models"},
            NEVER_CALLED | BY_NEMO | {"scipy", "sklearn"},
        ),
        (
            "diarization",
            "'speaker': '2'",
            {"pyannote.audio.pipelines.speaker_diarization"},
            NEVER_CALLED | BY_PYANNOTE | {"nemo"},
        ),
    ],
)
def test_each_role_does_the_job_that_ships(
    role: str, said: str, called: set[str], never_called: set[str], tmp_path: Path
) -> None:
    """The SDK prints the answer and ends well; no file stays.

    From its start to its end the worker imports nothing that it never calls.
    """
    done = worker(f"handlers.{role}", ROOT, tmp_path)
    assert done.returncode == 0, done.stderr
    assert "Job local_test completed successfully." in done.stdout
    assert said in done.stdout
    assert list(tmp_path.iterdir()) == []
    (imported,) = [line for line in done.stdout.splitlines() if line.startswith("modules: ")]
    assert called <= set(imported.split())
    assert never_called & set(imported.split()) == set()


def test_a_job_that_fails_ends_badly(tmp_path: Path) -> None:
    """With its error, and exit code 1."""
    (tmp_path / "test_input.json").write_text(json.dumps({"input": {"do": "coded"}}))
    done = worker("tests.handlers.flows", tmp_path, tmp_path / "jobs")
    assert done.returncode == 1
    assert "Job local_test failed with error: download_interrupted: the host" in done.stdout


def test_the_job_that_ships_is_small() -> None:
    """It lies in the repository."""
    assert (ROOT / "test_input.json").stat().st_size <= 100_000
