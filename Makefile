# Targets for people; each makes or refreshes .venv first, and does nothing there when it is up to date.
# make run HOST=0.0.0.0 PORT=9000 · make test ARGS="-k upload" · make PYTHON=python3.12 run

PYTHON ?= python3
VENV ?= .venv
HOST ?= 127.0.0.1
PORT ?= 8000
ARGS ?=
TRACES ?=
BIN := $(VENV)/bin
# Two test processes with one thread each: more threads than that only wait for each other on a small machine.
# A file stays with one process, so that what its tests share is made once.
PYTEST := OMP_NUM_THREADS=1 $(BIN)/python -m pytest

.DEFAULT_GOAL := help
.PHONY: help install install-test run worker migrate test test-slow test-browser test-postgres check style format \
        parity bench docs lock clean

help:                ## these lines
	@sed -n 's/^\([a-z-]*\):.*## /  make \1\t/p' Makefile | expand -t 24

install:
	@$(PYTHON) requirements/install.py --venv $(VENV)

install-test:
	@$(PYTHON) requirements/install.py --venv $(VENV) --test

run: install         ## install what is missing, migrate the database, serve the site and print its link
	@$(BIN)/promptoscope serve --host $(HOST) --port $(PORT)

worker: install      ## run training jobs in a process of their own, beside the site
	@$(BIN)/promptoscope worker

migrate: install     ## bring the database to the newest revision
	@$(BIN)/promptoscope db upgrade

test: install-test   ## fast tests: no network, no GPU, no browser
	$(PYTEST) -n 2 --dist loadfile $(ARGS)

test-slow: install-test       ## tests that take minutes
	$(PYTEST) -m slow $(ARGS)

test-browser: install-test    ## tests that drive a headless Chromium
	$(PYTEST) -m browser $(ARGS)

test-postgres: install-test   ## tests on PostgreSQL: a throw-away cluster, or PROMPTOSCOPE_TEST_POSTGRES_URL
	.ci/with-postgres env $(PYTEST) -m postgres $(ARGS)

check: style test    ## format, lint, types, fast tests

style: install-test  ## format, lint, types
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy

format: install-test ## put the code in the project's format
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

parity: install-test ## compare with traces of official implementations: make parity TRACES=DIR
	@test -n "$(TRACES)" || { echo "make parity needs the folder of traces: make parity TRACES=DIR"; exit 2; }
	$(BIN)/python -m benchmarks.parity $(TRACES)

bench: install-test  ## measure speed as ratios on this machine
	$(BIN)/python -m benchmarks.training_speed $(ARGS)

docs: install        ## write docs/reference anew from the code
	$(BIN)/python docs/generate.py

lock: install-test   ## resolve the dependencies anew and write requirements/*.lock
	$(PYTHON) -m venv $(VENV)-lock
	$(VENV)-lock/bin/pip install --quiet pip-tools==7.6.2
	$(VENV)-lock/bin/python requirements/lock.py

clean:               ## remove the environment and what tools left behind; the home folder stays
	rm -rf $(VENV) $(VENV)-lock build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis
