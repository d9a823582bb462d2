# What a developer runs. Prerequisites: python3 (3.11 to 3.13), python3-venv, make, git.
PYTHON ?= python3
VENV ?= .venv

BIN := $(VENV)/bin
# Touched when the set-up is whole; an interrupted one starts over.
READY := $(VENV)/.ready
RELEASE = $(shell git -c versionsort.suffix=- tag --list 'v*' --sort=-version:refname | head -n 1)

.PHONY: help setup demo test soak check static format-check lint types imports contract words-check \
	annex-check breaking format generate words annex lock

help: ## List the targets.
	@sed -n 's/^\([a-z-]*\):.*## /\1\t/p' $(MAKEFILE_LIST) | expand -t 12

setup: $(READY) ## Make the environment in .venv, once, and again when the lock changes.

$(READY): requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))' || { \
		echo "Saferoom needs Python 3.11 to 3.13; name one: make PYTHON=python3.12 $(MAKECMDGOALS)" >&2; \
		exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || { \
		echo "Python's venv module is not whole; install it: sudo apt-get install python3-venv" >&2; \
		exit 1; }
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --disable-pip-version-check --require-hashes -r requirements.lock
	$(BIN)/python -m pip install --disable-pip-version-check --no-deps --no-build-isolation --editable .
	@touch $@

demo: setup ## Open a room in a folder and run the main job on real records.
	$(BIN)/saferoom demo

test: setup ## Run the tests, in parallel.
	$(BIN)/pytest -n auto --dist loadfile --no-loadscope-reorder

soak: setup ## Run the long tests: kills, floods, millions.
	$(BIN)/pytest -m soak --timeout 3600

check: static test ## Run everything that must pass before a merge.

static: format-check lint types imports contract words-check annex-check breaking ## Run the checks that run no test.

format-check: setup
	$(BIN)/ruff format --check
	$(BIN)/buf format --diff --exit-code proto

lint: setup
	$(BIN)/ruff check
	$(BIN)/buf lint proto

types: setup
	$(BIN)/basedpyright --pythonpath $(BIN)/python

imports: setup
	$(BIN)/lint-imports

contract: setup
	$(BIN)/python tools/generate.py --check

words-check: setup
	$(BIN)/python tools/catalogue.py --check

annex-check: setup
	$(BIN)/python tools/annex.py --check

breaking: setup
	@if [ -z "$(RELEASE)" ]; then \
		echo "buf breaking: no release is tagged yet, so there is none to keep to."; \
	else \
		echo "buf breaking: against $(RELEASE)"; \
		$(BIN)/buf breaking proto --against '.git#tag=$(RELEASE),subdir=proto'; \
	fi

format: setup ## Bring Python and protos into form.
	$(BIN)/ruff format
	$(BIN)/ruff check --fix
	$(BIN)/buf format --write proto

generate: setup ## Write the Python code of the protos.
	$(BIN)/python tools/generate.py

words: setup ## List the command line's messages anew, and compile its Chinese ones.
	$(BIN)/python tools/catalogue.py

annex: setup ## Pack the catalogue of records, and write its page.
	$(BIN)/python tools/annex.py

# Not a prerequisite of set-up: a lock changes when somebody means it to (docs/adr/0001).
lock: ## Resolve requirements.lock anew from pyproject.toml.
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check 'uv>=0.13,<0.14'
	$(BIN)/uv pip compile pyproject.toml --extra room --extra modelling --group dev --universal --python-version 3.11 \
		--upgrade --generate-hashes --custom-compile-command 'make lock' --quiet \
		--output-file requirements.lock
