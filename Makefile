# Two commands on a fresh machine: `make repro` runs the pipeline, `make test` the tests. Both make .venv when it is missing.
PYTHON ?= python3
VENV := .venv
READY := $(VENV)/.installed
export PATH := $(CURDIR)/$(VENV)/bin:$(PATH)

.PHONY: repro test
repro: $(READY)
	dvc repro

test: $(READY)
	python -m pytest

$(READY): requirements.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "error: Python 3.11 or newer is needed; name one with make PYTHON=...")'
	$(PYTHON) -m venv $(VENV)
	$(VENV)/bin/python -m pip install --quiet --disable-pip-version-check -r requirements.txt
	touch $@
