"""The orchestrator: python -m handlers.orchestrator"""

from functools import partial

from core.flows.orchestrated import load
from core.wire.job_input import OrchestratorInput, parse
from handlers.runpod import worker


def main() -> None:
    """Find the endpoints, then take jobs."""
    worker.start(load, partial(parse, OrchestratorInput))


if __name__ == "__main__":
    main()
