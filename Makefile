# One entry point for what CI runs. Everything works in the environment that is active.
PYTHON ?= python

.PHONY: check lint types test slow families
check: lint types test

lint:
	$(PYTHON) -m ruff check .
	$(PYTHON) -m ruff format --check .

types:
	$(PYTHON) -m mypy

test:
	$(PYTHON) -m pytest -m "not slow and not gpu"

# After `pip install -e ".[families]"`; without it, `test` skips them.
families:
	$(PYTHON) -m pytest -m "families and not slow and not gpu" tests/contract tests/test_families.py

slow:
	$(PYTHON) -m pytest -m "slow"
