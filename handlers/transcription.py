"""The transcription worker: python -m handlers.transcription"""

from core.flows import pipeline
from handlers.runpod import worker


def main() -> None:
    """Load the models, then take jobs."""
    worker.start(pipeline.load_transcription)


if __name__ == "__main__":
    main()
