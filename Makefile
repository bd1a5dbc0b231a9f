# make demo        five daemons on this computer learn together
# make test        formatting, lint, types, fast tests      make test-slow   the long ones
# make bench       measurements                              make clean       throw away what was made
#
# Needs Python 3.11 or newer, make and a compiler; everything else goes into .venv.
# PYTHON=/path/to/python3.11 names the interpreter; any of these is taken otherwise.

PYTHON ?= $(shell for python in python3.11 python3.12 python3.13 python3 python; do \
	$$python -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && { echo $$python; break; }; done)
VENV := .venv
BIN := $(VENV)/bin
# Made anew whenever what is to be installed has changed.
READY := $(VENV)/.ready

.DEFAULT_GOAL := help
.PHONY: help demo test test-slow test-nightly bench clean

help:
	@sed -n 's/^# \{0,1\}//p' Makefile | head -6

$(READY): pyproject.toml constraints.txt
	@test -n "$(PYTHON)" || { echo "error: no Python 3.11 or newer found" >&2; \
		echo "  fix: install one, or name it: make PYTHON=/path/to/python3.11" >&2; exit 1; }
	@test -x $(BIN)/python || { echo "making $(VENV) with $$($(PYTHON) --version)"; $(PYTHON) -m venv $(VENV); }
	@echo "installing p2pnode and the tested set of packages (some minutes the first time)"
	@$(BIN)/python -m pip install --disable-pip-version-check --quiet -c constraints.txt -e '.[dev]'
	@touch $@

demo: $(READY)
	$(BIN)/p2pnode demo

test: $(READY)
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/pytest -m "not slow" -n 2 --dist loadfile

test-slow: $(READY)
	$(BIN)/pytest -m slow

# Everything there is, with many more examples of every property.
test-nightly: $(READY)
	$(BIN)/pytest --hypothesis-profile=nightly --timeout=600

bench: $(READY)
	$(BIN)/python -m simulations.benchmarks wire
	$(BIN)/python -m simulations.benchmarks simulator

clean:
	rm -rf $(VENV) build dist out .mypy_cache .ruff_cache .pytest_cache .hypothesis *.egg-info
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
