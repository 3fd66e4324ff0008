# One entry point for what CI runs. Everything works in the environment that is active.
PYTHON ?= python

# Small models, each on one thread: as many processes as there are cores.
FAMILIES = tests/contract tests/backends tests/test_families.py
ON_ALL_CORES = OMP_NUM_THREADS=1 $(PYTHON) -m pytest -n auto

# The oldest transformers that pyproject.toml admits, and what else touches transformers; what speaks
# to servers, what training data is made of, and processes that end do not. What builds on the same
# branches as the rest of the contract (streams, grey pictures, references, screens) is tested on the
# newest, and so are tokens drawn at random from the same logits.
FLOOR := $(shell sed -n 's/.*"transformers>=\([0-9.]*\).*/\1/p' pyproject.toml)
FLOOR_TESTS = $(FAMILIES) tests/steering tests/judging tests/chat tests/embedded
NOT_ON_FLOOR = tests/backends/server tests/chat/test_leaving.py \
	$(addprefix tests/contract/test_,streams.py counterfactual.py familiarity.py screening.py) \
	$(addprefix tests/embedded/test_,rewording.py turning.py unseen.py world.py)

.PHONY: check lint types test docs slow wheel wheel-slow families floor floor-requirement dist sbom audit
check: lint types test

lint:
	$(PYTHON) -m ruff check .
	$(PYTHON) -m ruff format --check .

types:
	$(PYTHON) -m mypy

test:
	$(ON_ALL_CORES) -m "not slow and not gpu" $(FAMILIES)
	$(ON_ALL_CORES) -m "not slow and not gpu and not site and not wheel" $(addprefix --ignore=,$(FAMILIES))

# After `pip install -e ".[families]"`; without it, `test` skips them.
families:
	$(ON_ALL_CORES) -m "families and not slow and not gpu" tests/contract tests/test_families.py

# After `pip install -e ".[docs]"`: the site, in site/, and what it has to hold. Its tests need neither
# a model nor what the others share. Not --quiet: then warnings would not count.
docs:
	NO_MKDOCS_2_WARNING=1 $(PYTHON) -m mkdocs build --strict
	$(PYTHON) -m pytest -n 0 --noconftest -m site tests/docs/test_site.py

slow:
	$(PYTHON) -m pytest -m "slow and not wheel"

# The README's commands and every snippet of the site from a wheel, in an empty environment; what is slow
# by `wheel-slow`. WHEEL=dist/….whl is that wheel; without it, one is built of what lies here.
wheel:
	GUARDRAIL_WHEEL=$(WHEEL) $(PYTHON) -m pytest -n 0 -m "wheel and not slow" tests/docs/test_wheel.py

wheel-slow:
	GUARDRAIL_WHEEL=$(WHEEL) $(PYTHON) -m pytest -n 0 -m "wheel and slow" tests/docs/test_wheel.py

# In an environment into which pip has installed what `make -s floor-requirement` prints.
floor:
	$(PYTHON) -c "import transformers as t; assert t.__version__ == '$(FLOOR)', t.__version__"
	$(ON_ALL_CORES) -m "not slow and not gpu" -k "not sampled" \
		$(addprefix --ignore=,$(NOT_ON_FLOOR)) $(FLOOR_TESTS)

floor-requirement:
	@echo "transformers==$(FLOOR)"

# A release's files, and what is wrong with them; after `pip install --group release`.
dist:
	rm -rf dist build
	$(PYTHON) -m build
	$(PYTHON) -m tests.release.distribution dist
	$(PYTHON) -m twine check --strict dist/*

# OF is the Python of another environment: what is in it as CycloneDX, and what is known against it.
# PyPI does not know torch's own builds (2.13.0+cpu), so it is asked about the release they are of.
OF ?= $(PYTHON)
TO ?= sbom.cdx.json
sbom:
	cyclonedx-py environment --pyproject pyproject.toml --output-reproducible --output-file $(TO) $(OF)

audit:
	$(OF) -m pip freeze --exclude-editable | sed 's/+cpu$$//; /@/d' > audited.txt
	pip-audit --strict --no-deps --disable-pip --requirement audited.txt
