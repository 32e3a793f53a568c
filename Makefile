# Two commands do all the set-up on a fresh machine with Python 3.11 or newer: `make demo` and `make test`.
# Everything is installed into .venv; nothing else on the machine is touched.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
SOURCE ?=
OUT ?= demo

.PHONY: demo test lint format bench interop docs clean
.DELETE_ON_ERROR:

$(VENV)/.installed: pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --editable '.[dev]'
	touch $@

demo: $(VENV)/.installed  ## Originals to AUROC table: synthetic ones, or real ones with SOURCE=DIR
	$(BIN)/medimeta demo --out $(OUT) $(if $(SOURCE),--source "$(SOURCE)")
	$(if $(SOURCE),,$(BIN)/medimeta demo --all --out $(OUT)/all)

# Each process makes the originals that tests share for itself, so that more than a few gain nothing.
test: $(VENV)/.installed  ## All tests and doctests, on several processors, with coverage
	$(BIN)/python -m pytest -n logical --maxprocesses 4 --dist worksteal --cov --cov-report=term:skip-covered

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

# The released package has the name of this one, so it needs an environment of its own; torchcross meets ours in another.
.interop-venv-released/.installed:
	$(PYTHON) -m venv .interop-venv-released
	.interop-venv-released/bin/python -m pip install --quiet medimeta==0.0.6 torchcross==0.0.6
	touch $@

.interop-venv-torchcross/.installed: pyproject.toml
	$(PYTHON) -m venv .interop-venv-torchcross
	.interop-venv-torchcross/bin/python -m pip install --quiet torchcross==0.0.6 --editable '.[build,torch]'
	touch $@

interop: $(VENV)/.installed .interop-venv-released/.installed .interop-venv-torchcross/.installed  ## Tests against the released packages
	MEDIMETA_RELEASED_PYTHON=$(CURDIR)/.interop-venv-released/bin/python \
	MEDIMETA_TORCHCROSS_PYTHON=$(CURDIR)/.interop-venv-torchcross/bin/python $(BIN)/python -m pytest -m released tests/interop

docs: $(VENV)/.installed  ## Write the table of datasets in the README anew
	$(BIN)/python docs/readme_table.py

clean:  ## Remove what the commands above made
	rm -rf $(VENV) .interop-venv-* .bench-venv .bench-cache demo runs
