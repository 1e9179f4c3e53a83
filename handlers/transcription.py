"""The transcription worker: python -m handlers.transcription"""

from core import pipeline
from handlers import adapter


def main() -> None:
    """Load the models, then take jobs."""
    adapter.start(pipeline.load_transcription)


if __name__ == "__main__":
    main()
