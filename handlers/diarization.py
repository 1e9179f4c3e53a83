"""The diarization worker: python -m handlers.diarization"""

from core.flows import pipeline
from handlers.runpod import worker


def main() -> None:
    """Load the models, then take jobs."""
    worker.start(pipeline.load_diarization)


if __name__ == "__main__":
    main()
