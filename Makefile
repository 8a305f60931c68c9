# Cairn: `make run` starts a cluster on this machine, `make test` tests everything.
SHELL := /bin/sh
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
HADOOP := .cache/hadoop
GO_CLIENT := .cache/go-client
RUN_ARGS ?=
PYTEST_ARGS ?=

.DEFAULT_GOAL := help
.PHONY: help run test test-slow test-accelerated check unit install install-test java go-client \
	accelerated proto lock bench bench-accelerated format clean

help:
	@echo 'make run         start a whole cluster here (RUN_ARGS="--datanodes 5 --dir D")'
	@echo 'make test        install what tests need, then lint, types, layers and tests'
	@echo 'make test-slow   the suites that take minutes: crash cycles, real trees, restarts'
	@echo 'make bench       Apache Hadoop and Cairn in turn; writes bench/RESULTS.md'
	@echo 'make accelerated the same Cairn, hot modules compiled: .cache/accelerated/bin/cairn'
	@echo '                 (test-accelerated and bench-accelerated do so with that one)'
	@echo 'make proto       generate the protobuf modules again'
	@echo 'make lock        resolve requirements/*.txt anew from pyproject.toml'
	@echo 'make clean       remove what make built, not what a cluster stored'

# --- what is installed ---------------------------------------------------------------------------
# Each stamp is made when its step is done, so that the next make does nothing.

RUN_STAMP := $(VENV)/.run-installed
TEST_STAMP := $(VENV)/.test-installed
JAVA_STAMP := $(HADOOP)/.installed
GO_STAMP := $(GO_CLIENT)/.installed
GO_MODULE := tests/peers/go
ACCELERATED := .cache/accelerated
ACCELERATED_STAMP := $(ACCELERATED)/.installed
ACCELERATED_TEST_STAMP := $(ACCELERATED)/.test-installed

install: $(RUN_STAMP)
install-test: $(TEST_STAMP)
java: $(JAVA_STAMP)
go-client: $(GO_STAMP)
accelerated: $(ACCELERATED_STAMP)

$(RUN_STAMP): requirements/run.txt requirements/bootstrap.txt pyproject.toml tools/bootstrap.sh tools/install.sh
	@PYTHON=$(PYTHON) tools/install.sh $(VENV) requirements/run.txt
	@touch $@

$(TEST_STAMP): requirements/test.txt $(RUN_STAMP)
	@PYTHON=$(PYTHON) tools/install.sh $(VENV) requirements/test.txt
	@touch $@

$(JAVA_STAMP): tests/peers/pom.xml tools/install_hadoop.sh
	@tools/install_hadoop.sh tests/peers/pom.xml $(HADOOP)
	@touch $@

$(GO_STAMP): $(wildcard $(GO_MODULE)/go.* $(GO_MODULE)/*.go $(GO_MODULE)/*/*.go) tools/install_go_client.sh
	@tools/install_go_client.sh $(GO_MODULE) $(GO_CLIENT)
	@touch $@

$(ACCELERATED_STAMP): requirements/run.txt requirements/accelerate.txt requirements/bootstrap.txt \
		pyproject.toml tools/accelerate.sh tools/install.sh tools/compile_hook.py \
		$(shell find src -name '*.py')
	@PYTHON=$(PYTHON) tools/accelerate.sh .cache/accelerate $(ACCELERATED)
	@touch $@

$(ACCELERATED_TEST_STAMP): requirements/test.txt $(ACCELERATED_STAMP)
	@PYTHON=$(PYTHON) tools/install.sh $(ACCELERATED) requirements/test.txt none
	@touch $@

# --- running -------------------------------------------------------------------------------------

run: $(RUN_STAMP)
	@exec $(BIN)/cairn up $(RUN_ARGS)

bench: $(TEST_STAMP) $(JAVA_STAMP)
	$(BIN)/python -m bench --write bench/RESULTS.md

bench-accelerated: $(TEST_STAMP) $(JAVA_STAMP) $(ACCELERATED_STAMP)
	$(BIN)/python -m bench --cairn $(ACCELERATED)/bin/cairn --write bench/RESULTS-ACCELERATED.md

# --- testing -------------------------------------------------------------------------------------

test: check unit

check: $(TEST_STAMP)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-cache
	$(BIN)/python tools/make_proto.py --check

unit: $(TEST_STAMP) $(JAVA_STAMP) $(GO_STAMP)
	$(BIN)/pytest --peers=required -m 'not slow' $(PYTEST_ARGS)

test-slow: $(TEST_STAMP) $(JAVA_STAMP) $(GO_STAMP)
	$(BIN)/pytest --peers=required -m slow $(PYTEST_ARGS)

# What the compiled modules can touch, against the compiled package.
test-accelerated: $(ACCELERATED_TEST_STAMP)
	$(ACCELERATED)/bin/pytest --compiled -m 'not slow and not peers' $(PYTEST_ARGS) $(addprefix tests/, \
		namespace namenode wire store blocks net cluster crash system test_package.py)

# --- maintaining ---------------------------------------------------------------------------------

format: $(TEST_STAMP)
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

proto: $(TEST_STAMP)
	$(BIN)/python tools/make_proto.py

lock:
	@PYTHON=$(PYTHON) tools/lock.sh

clean:
	rm -rf $(VENV) .bootstrap .cache dist build
	rm -rf .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis
