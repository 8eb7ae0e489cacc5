# Two commands on a fresh machine: `make repro` runs the pipeline, `make test` the tests. Both make .venv when it is missing.
PYTHON ?= python3
VENV := .venv
READY := $(VENV)/.installed
export PATH := $(CURDIR)/$(VENV)/bin:$(PATH)

.PHONY: install repro test quick audit verify bench quality hour
install: $(READY)

repro: $(READY)
	@git rev-parse --git-dir >/dev/null 2>&1 || { echo "error: this folder is not a git repository, which DVC needs: get it by git clone, or run git init in it" >&2; exit 1; }
	dvc repro

test: $(READY)
	python -m pytest -n 2 --dist loadfile --no-loadscope-reorder

# The tests that start no pipeline, server or browser, and do not compute long.
quick: $(READY)
	python -m pytest -n 2 --dist loadfile --no-loadscope-reorder -m "not slow"

# Name committed results that are older than their code, parameters or data; fails if an enabled stage is among them.
audit: $(READY)
	likelihood audit

# Rerun the enabled benchmarks from scratch and compare their metrics with the committed ones.
verify: $(READY)
	likelihood verify

# Compare the speed with other implementations on this machine's processor, and measure how cost grows; run nothing else meanwhile.
# By hand, as their first lines say: bench.scores and bench.lossy, which need other benchmarks, and bench.memory, which needs builds.
bench: export CUDA_VISIBLE_DEVICES :=
bench: $(READY)
	python -m pip install --quiet --disable-pip-version-check --no-deps -r bench/requirements.txt
	dvc repro preprocess
	python -m bench.run
	python -m bench.growth
	python -m bench.cost
	python -m bench.detecting
	python -m bench.seeds
	python -m bench.commands
	python -m bench.fresh

# Bits/dim by minutes of training for every family; run nothing else meanwhile.
quality: $(READY)
	python -m pip install --quiet --disable-pip-version-check --no-deps -r bench/requirements.txt
	dvc repro preprocess
	python -m bench.quality

# Bits/dim of one Glow after an hour; run nothing else meanwhile.
hour: $(READY)
	dvc repro preprocess
	python -m bench.hour

$(READY): requirements.txt pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "error: Python 3.11 or newer is needed; name one with make PYTHON=...")'
	$(PYTHON) -m venv $(VENV)
	$(VENV)/bin/python -m pip install --quiet --disable-pip-version-check -r requirements.txt
	$(VENV)/bin/python -m pip install --quiet --disable-pip-version-check --no-deps --editable .
	touch $@
