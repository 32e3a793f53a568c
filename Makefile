# Two commands do all the set-up on a fresh machine with Python 3.11 or newer: `make demo` and `make test`.
# Everything is installed into .venv; nothing else on the machine is touched.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
SOURCE ?=
OUT ?= demo

.PHONY: demo test lint format bench docs clean
.DELETE_ON_ERROR:

$(VENV)/.installed: pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --editable '.[dev]'
	touch $@

demo: $(VENV)/.installed  ## Originals to AUROC table: synthetic ones, or real ones with SOURCE=DIR
	$(BIN)/medimeta demo --out $(OUT) $(if $(SOURCE),--source "$(SOURCE)")
	$(if $(SOURCE),,$(BIN)/medimeta demo --all --out $(OUT)/all)

test: $(VENV)/.installed  ## All tests and doctests, with coverage
	$(BIN)/python -m pytest --cov --cov-report=term:skip-covered

lint: $(VENV)/.installed  ## Format, lint, types, layers
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

format: $(VENV)/.installed  ## Rewrite files in the project's style
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

bench: $(VENV)/.installed  ## Speed and memory against the released packages, to docs/benchmarks.md
	$(BIN)/python -m benchmarks

docs: $(VENV)/.installed  ## Write the table of datasets in the README anew
	$(BIN)/python docs/readme_table.py

clean:  ## Remove what the commands above made
	rm -rf $(VENV) .bench-venv .bench-cache demo runs
