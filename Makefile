# One entry point for what CI runs. Everything works in the environment that is active.
PYTHON ?= python

# The oldest transformers that pyproject.toml admits, and the tests that touch transformers.
FLOOR := $(shell sed -n 's/.*"transformers>=\([0-9.]*\).*/\1/p' pyproject.toml)
FLOOR_TESTS = tests/contract tests/backends tests/steering tests/judging tests/chat \
	tests/embedded tests/test_families.py

.PHONY: check lint types test slow families floor floor-requirement
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

# In an environment into which pip has installed what `make -s floor-requirement` prints.
floor:
	$(PYTHON) -c "import transformers as t; assert t.__version__ == '$(FLOOR)', t.__version__"
	$(PYTHON) -m pytest -m "not slow and not gpu" $(FLOOR_TESTS)

floor-requirement:
	@echo "transformers==$(FLOOR)"
