# Each target makes its own environment in .venv; a stamp per kind of use keeps the next call quick.
PYTHON ?= python3
BIN := .venv/bin
# Statistical tests are many small computations: one thread in each worker is faster than a shared pool.
ONE_THREAD := OMP_NUM_THREADS=1 MKL_NUM_THREADS=1
WORKERS ?= 2
PYTEST := $(ONE_THREAD) $(BIN)/python -m pytest

.PHONY: help compare test test-slow test-all lint format docs bench wheel clean

help:
	@echo "make compare   fit eight schools, sample it with NUTS, write build/compare/report.html"
	@echo "make test      the tests that are quick (a few minutes)"
	@echo "make test-all  the slow statistical tests too (make test-slow: those alone)"
	@echo "make lint      style, types, and which layer may import which"
	@echo "make docs      the documentation with its examples run, in build/docs"
	@echo "make bench     how long things take beside others, written to docs/benchmarks (an hour, on a quiet machine)"
	@echo "make wheel     the wheel, in dist"
	@echo "make clean     remove everything these have made"

.venv/.pip: constraints.txt
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --upgrade pip
	@touch $@

.venv/.run: .venv/.pip pyproject.toml constraints.txt
	$(BIN)/python -m pip install --quiet -c constraints.txt -e .
	@touch $@

.venv/.test: .venv/.run
	$(BIN)/python -m pip install --quiet -c constraints.txt -e '.[test]'
	@touch $@

.venv/.lint: .venv/.run
	$(BIN)/python -m pip install --quiet -c constraints.txt -e '.[lint]'
	@touch $@

.venv/.docs: .venv/.run
	$(BIN)/python -m pip install --quiet -c constraints.txt -e '.[test,docs]'
	@touch $@

.venv/.bench: .venv/.run
	$(BIN)/python -m pip install --quiet -c constraints.txt -e '.[bench]'
	@touch $@

compare: .venv/.run
	$(BIN)/pyro-vae compare eight_schools --out build/compare

test: .venv/.test
	$(PYTEST) -n $(WORKERS) -m "not slow"

test-slow: .venv/.test
	$(PYTEST) -n $(WORKERS) -m slow

test-all: test test-slow

lint: .venv/.lint
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/pyright --pythonpath $(BIN)/python
	$(BIN)/lint-imports

format: .venv/.lint
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

docs: .venv/.docs
	$(PYTEST) --doctest-modules pyro_vae
	$(PYTEST) docs
	$(ONE_THREAD) $(BIN)/python -m sphinx -W --keep-going -b html docs build/docs
	@echo "The documentation: $(CURDIR)/build/docs/index.html"

# No number of threads here: each contender is given its own. BENCH="--quick" or BENCH="--only vaes" is passed on.
bench: .venv/.bench
	$(BIN)/python -m tests.benchmarks --out docs/benchmarks $(BENCH)
	@echo "The tables and pictures: docs/benchmarks; docs/benchmarks.md shows them"

wheel: .venv/.pip
	rm -rf dist
	$(BIN)/python -m pip wheel --quiet --no-deps --wheel-dir dist .

clean:
	rm -rf .venv build dist docs/gallery docs/sg_execution_times.rst .pytest_cache .ruff_cache .import_linter_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
