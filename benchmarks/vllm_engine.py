"""What vLLM brings and what steering and reading cost on it: `python benchmarks/vllm_engine.py`. Run it alone.

In an environment with vLLM (`make test-vllm` makes one). Every way runs in a process of its own, in turn, stock vLLM
first and last; a round is 64 replies of 128 tokens, none of which ends early, after a short one to warm up:

- our engine on transformers, and transformers' own `generate`, one batch;
- stock vLLM, without our worker;
- ours on vLLM: written only (unsteered; all layers of every request steered), and with what reading needs laid out;
- reading: the same texts run once by stock vLLM, once by ours with the means of all layers.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import torch

from personascope.models.opening import open_model
from personascope.models.protocols import Chat, Engine, Sampling, Steered, Steering
from personascope.models.vllm.starting import Hosting
from personascope.prompts import PROTOCOLS, prompts
from personascope.traits import load_trait

MODEL = "smollm2-135m"
WRITING = ("stock", "hf", "generate", "written", "steered", "reads laid out", "stock")
READING = ("stock reads", "reads", "stock reads")
RHO = 0.05
"""Of the length of a token's residual: how far each layer is steered."""


def main() -> None:
    """Run every way in turn and print tokens a second, and what each is of stock vLLM."""
    asked = options()
    if asked.way:
        print(json.dumps(seconds(asked.way, asked)))
        return
    for ways in (WRITING, READING):
        found: dict[str, list[float]] = {}
        for _ in range(asked.rounds):
            for way in (way for way in ways if way in asked.only.split(",")):
                found.setdefault(way, []).extend(in_own_process(way, asked))
        show(found, asked.requests * asked.new_tokens)


def options() -> argparse.Namespace:
    """What is asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--requests", type=int, default=64)
    parser.add_argument("--new-tokens", type=int, default=128)
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--repeats", type=int, default=3, help="timed runs of a process")
    parser.add_argument("--dtype", default="auto")
    parser.add_argument("--eager", action="store_true", help="leave torch.compile off")
    parser.add_argument("--only", default=",".join(dict.fromkeys((*WRITING, *READING))), help="ways, by comma")
    parser.add_argument("--way", help="run this one here, and print its seconds")
    return parser.parse_args()


def in_own_process(way: str, asked: argparse.Namespace) -> list[float]:
    """The seconds of a way's repeats."""
    settings = [f"--{name}={getattr(asked, name.replace('-', '_'))}" for name in ("requests", "new-tokens", "repeats")]
    settings += [f"--dtype={asked.dtype}", *(["--eager"] if asked.eager else [])]
    done = subprocess.run(
        [sys.executable, __file__, f"--way={way}", *settings],
        capture_output=True, text=True, check=False, env=os.environ | {"VLLM_LOGGING_LEVEL": "ERROR"},
    )  # fmt: skip
    if done.returncode:
        sys.exit(f"{way}: {done.stderr[-2000:]}")
    times: list[float] = json.loads(done.stdout.splitlines()[-1])
    print(f"  {way}: {', '.join(f'{one:.2f}' for one in times)} s", flush=True)
    return times


def show(found: dict[str, list[float]], n_tokens: int) -> None:
    """A line for each way; rates of reading are told in the tokens that were written."""
    stock = statistics.median(next(iter(found.values())))
    print("| way | tokens/s | seconds / stock's |\n|---|---|---|")
    for way, times in found.items():
        median = statistics.median(times)
        print(f"| {way} | {n_tokens / median:.0f} | {median / stock:.2f} |")
    print(flush=True)


def seconds(way: str, asked: argparse.Namespace) -> list[float]:
    """The seconds of some runs of a way, after one to warm up."""
    run = WAYS[way](asked)
    run(8)
    times = []
    for _ in range(asked.repeats):
        start = time.perf_counter()
        run(asked.new_tokens)
        times.append(time.perf_counter() - start)
    return times


def chats_of(asked: argparse.Namespace) -> list[Chat]:
    """Questions of the standard protocol, under its instructions."""
    found = [prompt.chat for prompt in prompts(load_trait("extraversion"), PROTOCOLS["standard"])]
    return found[: asked.requests]


Run = Callable[[int], None]
"""Writes, or reads, so many tokens a row."""


def hf(asked: argparse.Namespace) -> Run:
    """Our engine on transformers, whose replies never end."""
    opened = open_model(MODEL, precision=asked.dtype)
    opened._loaded.model.generation_config.eos_token_id = None
    engine = type(opened)(replace(opened._loaded, ends=frozenset()))
    return writing(engine, asked)


def plain_generate(asked: argparse.Namespace) -> Run:
    """What transformers writes in one batch."""
    opened = open_model(MODEL, precision=asked.dtype)
    model, form = opened._loaded.model, opened._loaded.chat_format
    model.generation_config.eos_token_id = None
    texts = [form.text(chat) for chat in chats_of(asked)]
    batch = form.tokenizer(texts, return_tensors="pt", padding=True, padding_side="left", add_special_tokens=False)

    @torch.inference_mode()
    def run(new_tokens: int) -> None:
        model.generate(**batch, do_sample=True, max_new_tokens=new_tokens, pad_token_id=form.tokenizer.pad_token_id)

    return run


def ours(*, reads: bool, steered: bool) -> Callable[[argparse.Namespace], Run]:
    """Our engine on vLLM, written to."""

    def way(asked: argparse.Namespace) -> Run:
        engine = open_hosted(asked, reads=reads)
        return writing(engine, asked, steering(engine, asked) if steered else None)

    return way


def open_hosted(asked: argparse.Namespace, *, reads: bool) -> Any:
    """Ours on vLLM, whose replies never end."""
    opened = open_model(MODEL, engine=Hosting(reads=reads, compiled=not asked.eager), precision=asked.dtype)
    opened.served.driver._ends = []
    return opened


def writing(engine: Engine, asked: argparse.Namespace, edits: list[Steered] | None = None) -> Run:
    """Replies of an engine to the questions."""
    chats = chats_of(asked)

    def run(new_tokens: int) -> None:
        made = engine.generate(chats, Sampling(new_tokens, 1.0), seeds=range(len(chats)), steering=edits)
        if {reply.n_tokens for reply in made.replies} != {new_tokens}:
            sys.exit("a reply ended early: the times would not compare")

    return run


def steering(engine: Engine, asked: argparse.Namespace) -> list[Steered]:
    """Every row steered at all layers, in a strength of its own."""
    spec, n_rows = engine.spec, asked.requests
    drawn = np.random.default_rng(0).standard_normal((spec.n_layers, spec.width))
    drawn *= RHO / np.linalg.norm(drawn, axis=1, keepdims=True)
    vectors = {layer: drawn[layer].astype(np.float32) for layer in range(spec.n_layers)}
    return [(Steering(vectors, 0.5 + row / n_rows),) for row in range(n_rows)]


def stock(asked: argparse.Namespace) -> Run:
    """VLLM's own engine: neither our worker nor our admission."""
    llm, ids = stock_engine(asked)

    def run(new_tokens: int) -> None:
        from vllm import SamplingParams

        wanted = [
            SamplingParams(max_tokens=new_tokens, temperature=1.0, seed=row, ignore_eos=True, detokenize=False)
            for row in range(len(ids))
        ]
        llm.generate([{"prompt_token_ids": one} for one in ids], wanted, use_tqdm=False)

    return run


def stock_reads(asked: argparse.Namespace) -> Run:
    """VLLM's own engine runs whole texts once; nothing is read."""
    llm, ids = stock_engine(asked)

    def run(new_tokens: int) -> None:
        from vllm import SamplingParams

        llm.reset_prefix_cache()
        once = SamplingParams(max_tokens=1, temperature=0.0, detokenize=False)
        whole = [{"prompt_token_ids": [*one, *filler(row, new_tokens)]} for row, one in enumerate(ids)]
        llm.generate(whole, [once] * len(whole), use_tqdm=False)

    return run


def reads(asked: argparse.Namespace) -> Run:
    """Ours on vLLM: the means of all layers over texts of as many tokens."""
    engine = open_hosted(asked, reads=True)
    chats, tokenizer = chats_of(asked), engine.served.chat_format.tokenizer

    def run(new_tokens: int) -> None:
        replies = [tokenizer.decode(filler(row, new_tokens)) for row in range(len(chats))]
        engine.residuals(chats, replies, layers=range(engine.spec.n_layers))

    return run


def stock_engine(asked: argparse.Namespace) -> tuple[Any, list[list[int]]]:
    """Stock vLLM with our settings but those that are ours alone, and the questions' tokens."""
    from vllm import LLM

    from personascope.models import default_model
    from personascope.models.chat import chat_format
    from personascope.models.loading import Source
    from personascope.models.precision import dtype_of
    from personascope.models.vllm.starting import files_of

    os.environ.setdefault("VLLM_ENABLE_V1_MULTIPROCESSING", "0")
    os.environ.setdefault("OMP_NUM_THREADS", str(torch.get_num_threads()))
    folder, _, tokenizer = files_of(Source(MODEL, default_model.default_model_source(), None, False))
    dtype = str(dtype_of(asked.dtype, torch.device("cpu"))).removeprefix("torch.")
    llm = LLM(
        model=folder, dtype=dtype, skip_tokenizer_init=True, generation_config="vllm", max_model_len=8192,
        kv_cache_memory_bytes=2**30, enforce_eager=asked.eager, disable_log_stats=True,
    )  # fmt: skip
    form = chat_format(tokenizer)
    return llm, [form.tokens(chat).ids for chat in chats_of(asked)]


def filler(row: int, n_tokens: int) -> list[int]:
    """Tokens of plain words, others in each row."""
    return [2000 + (row * 131 + 17 * at) % 20000 for at in range(n_tokens)]


WAYS: dict[str, Callable[[argparse.Namespace], Run]] = {
    "stock": stock,
    "hf": hf,
    "generate": plain_generate,
    "written": ours(reads=False, steered=False),
    "steered": ours(reads=False, steered=True),
    "reads laid out": ours(reads=True, steered=True),
    "stock reads": stock_reads,
    "reads": reads,
}


if __name__ == "__main__":
    main()
