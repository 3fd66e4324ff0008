"""What holds for every test."""

import logging
from collections.abc import Iterator

import pytest

from tests.redis_server import running_redis
from tests.torchvision_operators import define_missing_operators

define_missing_operators()  # before anything imports torchvision


@pytest.fixture(autouse=True)
def _log_levels_stay() -> Iterator[None]:
    """The command line quietens loggers of its process, which here is everybody's."""
    loggers = [logging.getLogger(name) for name in ("guardrail", "huggingface_hub")]
    levels = [logger.level for logger in loggers]
    yield
    for logger, level in zip(loggers, levels, strict=True):
        logger.setLevel(level)


@pytest.fixture(scope="session")
def _redis_of_this_run() -> Iterator[str]:
    with running_redis() as (url, _):
        yield url


@pytest.fixture
def redis_url(_redis_of_this_run: str) -> str:
    """The address of a real Redis that holds nothing."""
    import redis

    with redis.Redis.from_url(_redis_of_this_run) as client:
        client.flushall()
    return _redis_of_this_run


@pytest.hookimpl(tryfirst=True)  # before tests are selected by their marks
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Marks families whose processors need the extra `families`, skips those whose needs lack."""
    from tests.families import RECIPES

    for item in items:
        callspec = getattr(item, "callspec", None)
        recipe = RECIPES.get(callspec.params.get("family")) if callspec is not None else None
        if recipe is not None and recipe.needs:
            item.add_marker(pytest.mark.families)
        if recipe is not None and recipe.missing:
            reason = f"its processor needs {', '.join(recipe.missing)}"
            item.add_marker(pytest.mark.skip(reason=reason))
