# `make run` and `make test` do all set-up on a fresh machine with Python 3.11+; RECIPE=tiny make run tries the line in seconds.
PYTHON ?= python3
RECIPE ?= classroom
VENV := .venv
BIN := $(VENV)/bin
PEERS := .venv-peers

.PHONY: run test test-resume bench clean

run: $(VENV)/installed
	$(BIN)/pharmgpt run $(RECIPE)

test: $(VENV)/installed
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n 2 --dist loadfile

test-resume: $(VENV)/installed
	OMP_NUM_THREADS=1 $(BIN)/python tests/resume_at_scale.py

bench: $(VENV)/installed $(PEERS)/installed
	$(BIN)/python -m benchmarks.speed --peers $(PEERS)/bin/python
	$(BIN)/python -m benchmarks.ceiling
	$(BIN)/python -m benchmarks.scale

# What ours is measured against, apart from it: trl 1.12 is the last to carry a PPO trainer.
$(PEERS)/installed: Makefile
	$(PYTHON) -m venv $(PEERS)
	$(PEERS)/bin/pip install --quiet "torch==2.13.*" "trl==1.12.0" accelerate
	touch $@

$(VENV)/installed: pyproject.toml
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "PharmGPT needs Python 3.11 or newer: make PYTHON=python3.11 run")'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet "torch==2.13.*"
	$(BIN)/pip install --quiet --editable ".[dev]"
	touch $@

clean:
	rm -rf $(VENV) $(PEERS)
