"""The fence around stand-ins, on the real libraries."""

from __future__ import annotations

import subprocess
import sys
import textwrap
from types import ModuleType

import pytest

pytestmark = pytest.mark.slow


def lines_of(code: str) -> list[str]:
    """Return the lines that a fresh process prints and logs."""
    script = (
        "import logging, sys\nlogging.basicConfig(stream=sys.stdout, format='%(message)s')\n"
        + textwrap.dedent(code)
    )
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", script],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        check=True,
    )
    return done.stdout.splitlines()


def break_imports(module: ModuleType, load: str, moment: str) -> None:
    """Defer a library that this import dislikes, or let its first try fail at the end.

    It dislikes some libraries only if those are not deferred that build on them.
    """
    if moment != "at the end":
        others = [name for name in module._NEVER_CALLED if not name.startswith("nemo.")]
        module.LIGHTNING_EXTRAS, module._NEVER_CALLED = (), (*others, moment)
        return
    whole, tries = getattr(module, load), []

    def fail_once() -> object:
        tries.append(whole())
        if len(tries) == 1:
            raise ValueError
        return tries[-1]

    setattr(module, load, fail_once)


@pytest.mark.parametrize("moment", ["lhotse", "at the end"])
def test_nemo_works_after_a_second_try(moment):
    """It dislikes a stand-in of lhotse. An error at the end leaves the most modules behind."""
    *log, words = lines_of(f"""
        from pathlib import Path
        from core.domain.request import Decoding
        from core.speech import parakeet
        from tests import golden
        from tests.slow.test_imports import break_imports
        break_imports(parakeet, "_asr_model", {moment!r})
        model = parakeet.ParakeetModel(Path("models/embedded/speech.nemo"), device="cpu")
        samples = golden.load("sentences").waveform.samples[:80_000]
        print(len(model.recognise([samples], Decoding())[0].words))
    """)
    assert any("NeMo does not import with stand-ins" in line for line in log)
    assert int(words) > 0


@pytest.mark.parametrize(
    ("moment", "after_nemo"),
    [
        ("pyannote.core", False),
        ("numpy.random", False),
        ("at the end", False),
        ("pyannote.core", True),
        ("at the end", True),
    ],
)
def test_pyannote_works_after_a_second_try(moment, after_nemo):
    """It dislikes a stand-in of a package of its own, SciPy one of NumPy's.

    In the `single` worker NeMo is in use by then, with packages that both import.
    """
    *log, turns = lines_of(f"""
        from core.modelstore import find_diarization_model
        from core.speakers import loading, pyannote
        from core.speech import parakeet
        from core.domain.request import SpeakerCount
        from tests import golden
        from tests.slow.test_imports import break_imports
        if {after_nemo}:
            parakeet.import_nemo()
        break_imports(loading, "_pipeline_and_telemetry", {moment!r})
        diarizer = pyannote.PyannoteDiarizer(find_diarization_model("embedded"), device="cpu")
        found = diarizer.diarize(
            golden.load("sentences").waveform,
            speakers=SpeakerCount(),
            progress=lambda _: None,
            cancelled=lambda: False,
        )
        print(len(found.turns))
    """)
    assert any("pyannote does not import with stand-ins" in line for line in log)
    assert int(turns) > 0


@pytest.mark.parametrize("role", ["transcription", "diarization"])
def test_eager_imports_load_what_a_worker_never_calls(role):
    """The setting reaches the loader of each model."""
    *_, modules = lines_of(f"""
        from core.flows.load import load_{role}
        from core.settings import Settings
        settings = dict(model_id="embedded", diarization_model_id="embedded")
        load_{role}(Settings(eager_imports=True, **settings))
        print("|".join(sys.modules))
    """)
    assert {"matplotlib", "transformers", "torch._dynamo"} <= set(modules.split("|"))
