# Two commands are enough on a fresh machine with Python 3.11+, pip and make: `make demo` and `make test`.
PYTHON ?= python3
VENV   ?= .venv
BIN    := $(VENV)/bin
ARGS   ?=
SPREAD ?= -n 3 --dist loadfile

# Tests start hundreds of processes: each would compile all of Steward again where this is set.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: demo test test-browser peers test-peers test-deep check bench lock clean help
.DEFAULT_GOAL := help

help: ## Show what can be made
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-10s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

demo: $(VENV)/.demo ## Run the grid case live on generated data; ARGS="--for 20s" ends by itself
	@$(BIN)/steward demo $(ARGS)

test: $(VENV)/.dev ## Run all tests (under 6 minutes on 2 cores)
	$(BIN)/pytest $(SPREAD) -m "not deep and not peers and not browser" $(ARGS)

test-browser: $(VENV)/.dev ## Run the tests of the console in a real browser (Chromium; a minute or two)
	$(BIN)/pytest $(SPREAD) -m "browser and not deep" tests/console/browser $(ARGS)

peers: $(VENV)/.dev ## Install the programs of others that tests talk to (a minute or two, below build/)
	$(BIN)/python -m benchmarks.peers $(ARGS)

test-peers: peers ## Run the tests that talk to them
	$(BIN)/pytest -m peers $(ARGS)

test-deep: $(VENV)/.dev ## Run the long suites: crash loops, millions of events
	$(BIN)/pytest -m deep $(ARGS)

check: $(VENV)/.dev ## Lint, type-check, and check the floors, sizes and rules
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/pytest -q tests/architecture

bench: $(VENV)/.dev ## Run every benchmark against its goals and write benchmarks/results/
	$(BIN)/python -m benchmarks $(ARGS)

lock: $(VENV)/.dev ## Resolve the dependencies again
	$(BIN)/uv pip compile -q pyproject.toml --extra grid --universal --python-version 3.11 --generate-hashes \
	  --no-annotate --upgrade --custom-compile-command "make lock" -o requirements/demo.txt
	$(BIN)/uv pip compile -q pyproject.toml --extra grid --group dev --universal --python-version 3.11 --generate-hashes \
	  --no-annotate --upgrade --custom-compile-command "make lock" -o requirements/dev.txt
	for peer in requirements/peers/*.in; do $(BIN)/uv pip compile -q $$peer --universal --python-version 3.11 --generate-hashes \
	  --no-annotate --upgrade --custom-compile-command "make lock" -o $${peer%.in}.txt; done

clean: ## Remove the environment and everything that was made
	rm -rf $(VENV) build dist .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache

# Where Python comes without venv (some Linux packages), virtualenv makes the same.
$(BIN)/python:
	@echo "Making an environment in $(VENV) ..."
	@$(PYTHON) -m venv $(VENV) || ($(PYTHON) -m pip install --quiet virtualenv && $(PYTHON) -m virtualenv --quiet $(VENV))

# The pins are complete, so pip resolves nothing: pip 23 takes `pydantic==2.14.3` for no pin of `pydantic[email]` and
# refuses to install as soon as there is a newer release.
$(VENV)/.demo: requirements/demo.txt pyproject.toml | $(BIN)/python
	@echo "Installing (about half a minute) ..."
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes --no-deps -r requirements/demo.txt
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps -e .
	@touch $@

$(VENV)/.dev: requirements/dev.txt pyproject.toml | $(BIN)/python
	@echo "Installing with the test tools (about a minute) ..."
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes --no-deps -r requirements/dev.txt
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps -e .
	@touch $@ $(VENV)/.demo
