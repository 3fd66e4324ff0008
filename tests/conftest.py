"""What holds for every test."""

import logging
from collections.abc import Iterator

import pytest


@pytest.fixture(autouse=True)
def _log_levels_stay() -> Iterator[None]:
    """The command line quietens loggers of its process, which here is everybody's."""
    loggers = [logging.getLogger(name) for name in ("guardrail", "huggingface_hub")]
    levels = [logger.level for logger in loggers]
    yield
    for logger, level in zip(loggers, levels, strict=True):
        logger.setLevel(level)
