# Two commands on a fresh machine: `make repro` runs the pipeline, `make test` the tests. Both make .venv when it is missing.
PYTHON ?= python3
VENV := .venv
READY := $(VENV)/.installed
export PATH := $(CURDIR)/$(VENV)/bin:$(PATH)

.PHONY: repro test bench quality
repro: $(READY)
	dvc repro

test: $(READY)
	python -m pytest

# Ratios to other implementations on this machine, and how cost grows; nothing else should run beside it.
bench: $(READY)
	python -m pip install --quiet --disable-pip-version-check --no-deps -r bench/requirements.txt
	PYTHONPATH=src python -m bench.run
	PYTHONPATH=src python -m bench.growth
	PYTHONPATH=src python -m bench.scores

# Bits/dim by minutes of training, every family under the same clock: 20 minutes with nothing beside it.
quality: $(READY)
	python -m pip install --quiet --disable-pip-version-check --no-deps -r bench/requirements.txt
	dvc repro preprocess
	PYTHONPATH=src python -m bench.quality

$(READY): requirements.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "error: Python 3.11 or newer is needed; name one with make PYTHON=...")'
	$(PYTHON) -m venv $(VENV)
	$(VENV)/bin/python -m pip install --quiet --disable-pip-version-check -r requirements.txt
	touch $@
