"""The diarization worker: python -m handlers.diarization"""

from functools import partial

from core.flows.load import load_diarization
from core.wire.job_input import DiarizationInput, parse
from handlers.runpod import worker


def main() -> None:
    """Load the model, then take jobs."""
    worker.start(load_diarization, partial(parse, DiarizationInput))


if __name__ == "__main__":
    main()
