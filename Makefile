# One word does everything, set-up included: it needs Linux and a Python from 3.11 on.
#
#   make demo    teach the bundled subject to the embedded base model, write demo/contact-sheet.png
#   make test    everything that must pass
#   make test-cluster   tests of the service once more, on Postgres, a bucket and a Ray cluster
#   make unit    the fast tests alone
#   make check   format, lint, types, import contracts, documentation
#   make serve   the service at http://127.0.0.1:8080: the first start prints what lets you in
#   make bench   does it learn, and how fast: the tables the README quotes
#   make screenshots   the README's pictures of the dashboard, from a server of its own (needs Chromium)
#   make docs    write docs/reference/settings.md and configuration.md again from what they describe
#   make clean   remove the environment and everything that the commands made
#
# PYTHON=/path/to/python3 chooses the interpreter. How to choose torch's CPU build: README, "Install".

SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := demo
.PHONY: demo serve test test-cluster unit check bench screenshots docs clean

BIN := .venv/bin
READY := .venv/.installed
# One thread per test process, and no busy waiting: two spinning OpenMP pools on a small machine
# make small models up to a hundred times slower.
QUIET_THREADS := OMP_NUM_THREADS=1 OMP_WAIT_POLICY=PASSIVE

# An environment that was made elsewhere and moved or copied here still points there: make it anew.
ifneq ($(shell cat $(READY) 2>/dev/null),$(CURDIR))
.PHONY: $(READY)
endif

demo: $(READY)
	$(BIN)/modelgenerator demo

serve: $(READY)
	$(BIN)/modelgenerator serve

test: $(READY)
	$(QUIET_THREADS) $(BIN)/python -m pytest -n 2 -rs

# what people do with a server: the same tests, deployed otherwise
CLUSTER_TESTS := test_several_servers test_serving test_uploads_survive test_seed_flow test_chaos \
	dashboard/test_flows dashboard/test_generate dashboard/test_new_training dashboard/test_trainings
# starts a server that is deployed as it says
OF_ITS_OWN := tests/acceptance/test_seed_flow.py::test_a_flow_runs_from_the_command_line_on_a_server_of_its_own

test-cluster: $(READY)
	SERVICE_DEPLOYMENT=cluster $(QUIET_THREADS) $(BIN)/python -m pytest -n 2 -rs --dist loadfile \
		--deselect $(OF_ITS_OWN) $(CLUSTER_TESTS:%=tests/acceptance/%.py)

unit: $(READY)
	$(QUIET_THREADS) $(BIN)/python -m pytest -n 2 -m "not slow" tests/unit

check: $(READY)
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/pyright
	$(BIN)/lint-imports
	$(BIN)/python -m pytest -q tests/architecture

bench: $(READY)
	OMP_WAIT_POLICY=PASSIVE $(BIN)/python benchmarks/learning.py
	OMP_WAIT_POLICY=PASSIVE $(BIN)/python benchmarks/train_step.py
	$(BIN)/python benchmarks/start_up.py
	$(BIN)/python benchmarks/masks.py
	OMP_WAIT_POLICY=PASSIVE $(BIN)/python benchmarks/service.py

screenshots: $(READY)
	$(BIN)/python docs/screenshots/take.py

docs: $(READY)
	$(BIN)/python -m modelgenerator.cli.settings_table > docs/reference/settings.md
	$(BIN)/python -m modelgenerator.cli.configuration_table > docs/reference/configuration.md

clean:
	rm -rf .venv demo runs build dist .pytest_cache .ruff_cache .import_linter_cache .hypothesis
	find src tests benchmarks -name __pycache__ -prune -exec rm -rf {} + 2>/dev/null || true

$(READY): pyproject.toml constraints.txt .ci/make-venv
	.ci/make-venv "$(PYTHON)"
	@echo "Installing ModelGenerator and what it needs into .venv (torch is large: some minutes the first time) ..."
	@quiet=; [ -t 1 ] || quiet=-q; set -x; \
	$(BIN)/python -m pip install --disable-pip-version-check $$quiet -c constraints.txt -e '.[dev]'
	.ci/fetch-person-files
	@echo "$(CURDIR)" > $@
	@echo "Installed."
