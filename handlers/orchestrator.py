"""The orchestrator: python -m handlers.orchestrator"""

from core.flows import orchestrated
from handlers.runpod import worker


def main() -> None:
    """Find the endpoints, then take jobs."""
    worker.start(orchestrated.load)


if __name__ == "__main__":
    main()
