# The two commands of the README work on a machine with only Python (3.11 or newer) and make.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
DIR ?= quickstart
PIP := $(BIN)/python -m pip --disable-pip-version-check

.PHONY: quickstart test test-real test-postgres check docs clean

quickstart: $(VENV)/.run
	$(BIN)/selaras quickstart $(DIR)

# One process a core; torch in each keeps to one thread, or they would wait for each other.
test: $(VENV)/.dev
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n auto --dist worksteal

test-real: $(VENV)/.dev
	$(BIN)/python -m pytest -m "real or browser" -p no:randomly

# The rating store's tests on a PostgreSQL that is started for them and stopped again.
test-postgres: $(VENV)/.dev
	tests/with_postgres.sh $(BIN)/python -m pytest tests/rating -k postgresql

check: $(VENV)/.dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

docs: $(VENV)/.dev
	$(BIN)/python docs/generate.py

# torch first: a range would let the resolver take another build of it.
$(VENV)/.run: pyproject.toml constraints.txt
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(PIP) install --quiet --upgrade "pip>=25.1"
	$(PIP) install --quiet --constraint constraints.txt torch
	$(PIP) install --quiet --constraint constraints.txt --editable ".[data,tune]"
	touch $@

$(VENV)/.dev: $(VENV)/.run
	$(PIP) install --quiet --constraint constraints.txt --editable ".[all]" --group dev
	touch $@

clean:
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis dist
