"""NeMo's log, which prints whole configurations unless it is silenced."""

from __future__ import annotations

import logging


def silence_nemo() -> None:
    """Reduce NeMo's log to errors. Call it before NeMo is imported.

    pyannote imports NeMo too if it is installed.
    """
    for name in ("nemo_logger", "nv_one_logger"):
        logger = logging.getLogger(name)
        logger.setLevel(logging.ERROR)
        # NeMo resets its level to warnings while it transcribes.
        if _is_error not in logger.filters:
            logger.addFilter(_is_error)


def _is_error(record: logging.LogRecord) -> bool:
    return record.levelno >= logging.ERROR
