"""The transcription worker: python -m handlers.transcription"""

from functools import partial

from core.flows.load import load_transcription
from core.wire.job_input import TranscriptionInput, parse
from handlers.runpod import worker


def main() -> None:
    """Load the model, then take jobs."""
    worker.start(load_transcription, partial(parse, TranscriptionInput))


if __name__ == "__main__":
    main()
