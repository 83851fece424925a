# `make train` and `make test` set up what they need in .venv; nothing else is touched.

PYTHON ?= python3
BIN := .venv/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check --quiet
CONSTRAINED := -c constraints.txt
# What native code does, NumPy does, too, without it: `make test-long` shows it of the whole suite.
COMPILED := $(wildcard tests/test_compile*.py) $(addprefix tests/test_, probes.py replay.py verify.py \
	training.py) docs

.PHONY: train test test-peers test-long test-browser bench format clean

train: .venv/installed
	$(BIN)/limpid train digits

test: .venv/test
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/python -m pytest
	LIMPID_NATIVE=0 $(BIN)/python -m pytest $(COMPILED)

test-peers: .venv/peers
	$(BIN)/python -m pytest -m peers tests/peers

test-long: .venv/test
	$(BIN)/python -m pytest -m long
	LIMPID_NATIVE=0 $(BIN)/python -m pytest

# Pages as they look and work, in Debian's Chromium; which is installed if there is none.
test-browser: .venv/test
	@command -v chromium >/dev/null || { \
	    apt-get update -qq && apt-get install -y -qq --no-install-recommends chromium; }
	$(BIN)/python -m pytest -m browser tests

bench: .venv/bench
	$(BIN)/python -m benchmarks

format: .venv/test
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

.venv/installed: pyproject.toml constraints.txt
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "limpid needs Python 3.11 or newer; set PYTHON=…")'
	$(PYTHON) -m venv .venv
	$(PIP) install $(CONSTRAINED) -e .
	touch $@

.venv/test: .venv/installed
	$(PIP) install $(CONSTRAINED) -e '.[test]'
	touch $@

.venv/peers: .venv/test
	$(PIP) install $(CONSTRAINED) -e '.[peers]'
	touch $@

.venv/bench: .venv/installed
	$(PIP) install $(CONSTRAINED) -e '.[bench]'
	touch $@

clean:
	rm -rf .venv build dist *.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis
