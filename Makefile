# The two commands that the README and CI call, the house rules, and the pages.
PYTHON ?= python3
VENV ?= .venv
BIN = $(VENV)/bin
PIP = $(BIN)/python -m pip install --quiet --disable-pip-version-check -c .ci/constraints.txt

.PHONY: demo test fuzz benchmark benchmark-baselines lint docs docs-check docs-write check-wheel clean

demo: $(VENV)/.installed
	$(BIN)/crystaltensor predict docs/examples/POSCAR.AlN --property piezo

test: $(VENV)/.installed-test
	$(BIN)/python -m pytest

# Damaged files for every reader; prints a table, and fails if one of them gets through.
fuzz: $(VENV)/.installed-test
	$(BIN)/python -m tests.fuzz.campaign

# Short benchmarks beside those that were kept; times vary with what else a machine does.
PROPERTIES = --property dielectric --property piezo --property elastic
BASELINES = tests/benchmarks/baselines

benchmark: $(VENV)/.installed-test
	$(BIN)/crystaltensor benchmark accuracy --short $(PROPERTIES) --compare $(BASELINES)/accuracy.json
	$(BIN)/crystaltensor benchmark symmetry --short $(PROPERTIES) --compare $(BASELINES)/symmetry.json
	$(BIN)/crystaltensor benchmark sums --short --compare $(BASELINES)/sums.json --max-slowdown 3

# After a change of models or sums that is meant; look at the difference before it is kept.
benchmark-baselines: $(VENV)/.installed-test
	$(BIN)/crystaltensor benchmark accuracy --short $(PROPERTIES) -o $(BASELINES)/accuracy.json
	$(BIN)/crystaltensor benchmark symmetry --short $(PROPERTIES) -o $(BASELINES)/symmetry.json
	$(BIN)/crystaltensor benchmark sums --short -o $(BASELINES)/sums.json

lint: $(VENV)/.installed-test
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

docs: $(VENV)/.installed-docs
	$(BIN)/sphinx-build -W --keep-going -q -b html docs docs/_build

# Runs every command of the README and the pages, those that take long as well.
docs-check: $(VENV)/.installed-test
	$(BIN)/python docs/checks.py --long

# Puts what the commands print now in place of what the pages show.
docs-write: $(VENV)/.installed-test
	$(BIN)/python docs/checks.py --write

# Builds the wheel, and runs the tests on it far from the repository.
check-wheel: $(VENV)/.installed-test
	VENV=$(abspath $(VENV)) .ci/check-wheel

$(VENV)/bin/python:
	$(PYTHON) -m venv $(VENV)

$(VENV)/.installed: pyproject.toml .ci/constraints.txt | $(VENV)/bin/python
	$(PIP) -e .
	touch $@

$(VENV)/.installed-test: $(VENV)/.installed
	$(PIP) -e '.[test]'
	touch $@

$(VENV)/.installed-docs: $(VENV)/.installed
	$(PIP) -e '.[docs]'
	touch $@

clean:
	rm -rf $(VENV) build dist docs/_build docs/_generated
