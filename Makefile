# The commands of this project; 'make help' lists them. Settings of all tools are in pyproject.toml.
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.PHONY: help run install reset flask test browser pricing lint fast soak bench bench-large contract screenshots lock

VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip install -qq --disable-pip-version-check --require-hashes
# prints what an interpreter that fits needs for a piece of work, in microseconds, and its path
PACE := import sys, timeit, venv, ensurepip; sys.version_info >= (3, 11) and print( \
  int(1e6 * min(timeit.repeat("for i in range(9999): d[i % 99] = str(i)", "d = {}", number=1))), sys.executable)
UV := uv~=0.9
# dozens of processes start in a run: where bytecode is not kept, each compiles all of the portal anew
export PYTHONDONTWRITEBYTECODE :=
# a file's tests share what they start from, if one process runs them
PYTEST := $(BIN)/python -m pytest --quiet --dist=loadfile --no-loadscope-reorder
CORES := $(shell nproc)

help: ## List these commands
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## /  make \1\t/' | expand -t 20

run: install ## Start everything on this machine: database, Stripe sandbox, worker, web server
	@exec $(BIN)/python -m portal.development

install: $(VENV)/.installed ## Make the environment from the pinned requirements

reset: install ## Throw away the data that 'make run' keeps
	@$(BIN)/python -m portal.development reset && echo "Everything is empty again."

flask: install ## A command with the settings of 'make run', such as: make flask DO='demo seed'
	@$(BIN)/python -m portal.development flask $(DO)

# journeys wait for a browser now and then, so one process more than there are cores keeps them all busy;
# each takes the next one when it is free, in the order that the journeys give themselves
test: $(VENV)/.installed-dev ## Check everything, browser journeys included
	@$(MAKE) --no-print-directory --jobs=2 --output-sync lint browser pricing
	$(PYTEST) tests --ignore=tests/pricing --ignore=tests/journeys --numprocesses=$(CORES)
	$(PYTEST) tests/journeys --dist=load --maxschedchunk=1 --numprocesses=$$(($(CORES) + 1))

browser: $(VENV)/.installed-dev
	$(BIN)/python -m tests.chromium

pricing: $(VENV)/.installed-dev
	$(BIN)/python -m pytest tests/pricing --quiet --cov=portal.pricing --cov-branch --cov-fail-under=100

lint: $(VENV)/.installed-dev ## Style, types, and the direction of imports
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

fast: $(VENV)/.installed-dev ## The tests without browsers, for while you write
	$(PYTEST) tests --ignore=tests/journeys --ignore=tests/typings --numprocesses=$(CORES)

soak: $(VENV)/.installed-dev ## Long runs: processes killed at work, equal timings, 2,000 changes, a year with credits
	HYPOTHESIS_PROFILE=soak $(BIN)/python -m pytest tests/pricing --quiet --numprocesses=$(CORES)
	$(BIN)/python -m pytest tests/soak --override-ini=python_files='soak_*.py' --override-ini=faulthandler_timeout=1800

bench: $(VENV)/.installed-dev ## Measure, and print the table that the README keeps
	$(BIN)/python -m tests.bench

bench-large: $(VENV)/.installed-dev ## Measure what takes long: the pages in Lighthouse, ledgers of up to 20 million
	$(BIN)/python -m tests.bench 11 6-large 9

contract: $(VENV)/.installed-dev ## The contract suite against Stripe's test mode (STRIPE_SECRET_KEY=sk_test_…)
	$(BIN)/python -m tests.contract

screenshots: $(VENV)/.installed-dev ## Make the README's pictures anew
	$(BIN)/python -m tests.screenshots

lock: ## Pin the newest versions that pyproject.toml allows, with hashes
	python3 -m venv .data/lock
	.data/lock/bin/python -m pip install --quiet --disable-pip-version-check '$(UV)'
	compile() { .data/lock/bin/uv pip compile pyproject.toml --quiet --upgrade --universal --python-version 3.11 \
	  --generate-hashes --no-strip-extras --no-annotate --no-emit-index-url --custom-compile-command "make lock" "$$@"; }; \
	compile --output-file requirements.txt; \
	compile --group dev --output-file requirements-dev.txt

# one that was built without its optimizations, as pyenv does, takes half as long again for everything
$(VENV)/.made:
	@quickest=$$(for python in python3 python3.14 python3.13 python3.12 python3.11 /usr/bin/python3; do \
	  $$python -c '$(PACE)' 2>/dev/null || true; done | sort -n | sed -n '1s/[0-9]* //p'); \
	if [ -z "$$quickest" ]; then \
	  echo "Python 3.11 or later with venv is needed and was not found (on Debian: apt-get install python3-venv)." >&2; \
	  exit 2; \
	fi; \
	"$$quickest" -m venv $(VENV) && touch $@

$(VENV)/.installed: requirements.txt | $(VENV)/.made
	@echo "Installing …"
	@$(PIP) -r requirements.txt
	@touch $@

$(VENV)/.installed-dev: requirements-dev.txt $(VENV)/.installed
	@echo "Installing what the tests need …"
	@$(PIP) -r requirements-dev.txt
	@touch $@
