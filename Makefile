# One entry point for what CI runs. Everything works in the environment that is active.
PYTHON ?= python

.PHONY: check lint types test slow
check: lint types test

lint:
	$(PYTHON) -m ruff check .
	$(PYTHON) -m ruff format --check .

types:
	$(PYTHON) -m mypy

test:
	$(PYTHON) -m pytest -m "not slow and not gpu"

slow:
	$(PYTHON) -m pytest -m "slow"
