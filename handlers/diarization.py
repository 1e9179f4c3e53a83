"""The diarization worker: python -m handlers.diarization"""

from core import pipeline
from handlers import adapter


def main() -> None:
    """Load the models, then take jobs."""
    adapter.start(pipeline.load_diarization)


if __name__ == "__main__":
    main()
