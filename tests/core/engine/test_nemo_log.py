"""NeMo's log keeps to errors."""

import logging

from core.engine.nemo_log import silence_nemo


def test_only_errors_of_nemo_are_logged(caplog):
    """Even after NeMo has set the level of its logger back, and however often it is silenced."""
    silence_nemo()
    silence_nemo()
    nemo = logging.getLogger("nemo_logger")
    nemo.warning("a configuration")
    nemo.setLevel(logging.INFO)
    nemo.warning("another")
    nemo.error("a failure")
    assert [record.getMessage() for record in caplog.records] == ["a failure"]
    assert len(nemo.filters) == len(set(nemo.filters))
