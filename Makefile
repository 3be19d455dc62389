# make demo   see an image imported by both routes, on a local Azure
# make test   run every test
# make lint   check formatting, types and the rules for Azure CLI extensions
# make matrix try the extension in several versions of the Azure CLI and of Python
# make docs   draw what the documentation shows of the code: the rules of the route, and the recording of the demo
# make bench  measure the copier beside skopeo, crane and regctl (those that are on the PATH), between real registries
# All need Python 3.10 or newer, and no root. Another Python: make PYTHON=/path/to/python3

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.stamp
WORKERS ?= auto
TESTS ?= tests
PACKAGE := azext_acrimport
SOURCES := setup.py $(wildcard $(PACKAGE) emulator tests scripts bench examples)

unexport PYTHONPATH PYTHONHOME

.DEFAULT_GOAL := help
.PHONY: help venv demo test lint format coverage package matrix docs bench bench-quick bench-startup bench-faults clean

help:
	@sed -n 's/^# //p' Makefile | head -n 7

$(STAMP): requirements-dev.txt requirements-azdev.txt scripts/venv.sh
	@sh scripts/venv.sh "$(PYTHON)" "$(VENV)"

venv: $(STAMP)

demo: $(STAMP)
	@$(BIN)/python scripts/demo.py

test: $(STAMP)
	$(BIN)/python -m pytest -n $(WORKERS) --dist worksteal --timeout 180 $(TESTS)

lint: $(STAMP)
	$(BIN)/ruff format --check $(SOURCES)
	$(BIN)/ruff check $(SOURCES)
	$(BIN)/mypy
	$(BIN)/python scripts/run_azdev.py style linter test

format: $(STAMP)
	$(BIN)/ruff format $(SOURCES)
	$(BIN)/ruff check --fix $(SOURCES)

coverage: $(STAMP)
	$(BIN)/coverage run -m pytest tests/unit tests/functional
	$(BIN)/coverage report

# The wheel and its entry in an index, for a folder on the web: make package URL=https://downloads.contoso.com/az
package: $(STAMP)
	@$(BIN)/python scripts/package.py dist $(URL)

# Others: make matrix MATRIX="2.80.0/3.10 2.91.0/3.12"
matrix: $(STAMP)
	@$(BIN)/python scripts/matrix.py $(MATRIX)

docs: $(STAMP)
	$(BIN)/python scripts/draw_route.py
	$(BIN)/python scripts/record_demo.py

# More options: make bench BENCH="--rows W1,W3 --runs 3"; see python3 -m bench --help
bench: $(STAMP)
	$(BIN)/python -m bench --az $(BIN)/az $(BENCH)

bench-quick: $(STAMP)
	$(BIN)/python -m bench --quick $(BENCH)

# What the extension costs before a command does anything
bench-startup: $(STAMP)
	$(BIN)/python -m bench.startup --az $(BIN)/az $(BENCH)

# Random faults on both sides of many copies: make bench-faults BENCH="--seed 1 --runs 2000"
bench-faults: $(STAMP)
	$(BIN)/python -m bench.faults $(BENCH)

clean:
	rm -rf $(VENV) .demo .matrix build dist *.egg-info .pytest_cache .hypothesis .mypy_cache .ruff_cache .coverage htmlcov
	find $(PACKAGE) emulator tests scripts -name __pycache__ -type d -prune -exec rm -rf {} +
