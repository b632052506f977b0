"""What steering costs, in one run: `python benchmarks/steering.py`. Run it alone.

- a batch with steering against the same batch without;
- all prompts at all strengths in one `generate` against transformers' own `generate` with a hook, one prompt and one
  strength at a time (a few of them, and scaled) and one batch a strength;
- scores of given replies at all strengths, with the prompt run once and blocks resumed, against whole passes.

Rounds take the ways in turn. No reply ends early, so that every way writes the same number of tokens.
"""

import argparse
import math
import resource
import statistics
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace

import numpy as np
import torch

from personascope.models.huggingface import HuggingFaceModel
from personascope.models.opening import open_model
from personascope.models.protocols import Chat, Condition, Sampling, Steered, Steering
from personascope.neutral import neutral
from personascope.prompts import PROTOCOLS, prompts
from personascope.traits import load_trait
from personascope.vectors import unit

TEMPERATURE = 0.7
RHO = 0.05
DEPTH = 0.6
FEW_PROMPTS, FEW_STRENGTHS = 2, 3
ROWS_A_PROMPT = 4
SCORED_TOKENS = 50


@dataclass(frozen=True)
class Job:
    """What is asked for: a model that ends no reply, prompts, one direction at one layer and its strengths."""

    engine: HuggingFaceModel
    chats: Sequence[Chat]
    layer: int
    direction: np.ndarray
    strengths: Sequence[float]
    new_tokens: int

    def at(self, strength: float) -> Steered:
        """The direction at a strength."""
        return (Steering({self.layer: self.direction}, strength),)


Ways = dict[str, Callable[[], float]]
"""What each way is called, and how it is run; it gives back by how much its time is to be multiplied."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--prompts", type=int, default=16)
    parser.add_argument("--strengths", type=int, default=9)
    parser.add_argument("--new-tokens", type=int, default=64)
    parser.add_argument("--rounds", type=int, default=3)
    asked = parser.parse_args()
    job = _job(asked.prompts, asked.strengths, asked.new_tokens)
    _check_alike(job)
    spec = job.engine.spec
    print(f"{spec.name}, {spec.dtype}, {torch.get_num_threads()} threads, torch {torch.__version__}; layer {job.layer}")
    n, m = len(job.chats), len(job.strengths)
    _print(f"One batch, {n * ROWS_A_PROMPT} rows, {job.new_tokens} tokens", one_batch(job), asked.rounds)
    _print(f"{m} strengths x {n} prompts x {job.new_tokens} tokens", all_strengths(job), asked.rounds)
    _print(f"Scores of {n} replies of {SCORED_TOKENS} tokens at {m} strengths", scores(job), asked.rounds)
    print(f"\npeak memory of the process: {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024:.0f} MB")


def _job(n_prompts: int, n_strengths: int, new_tokens: int) -> Job:
    opened = open_model("smollm2-135m")
    opened._loaded.model.generation_config.eos_token_id = None
    engine = HuggingFaceModel(replace(opened._loaded, ends=frozenset()))
    known = neutral().prompts
    if not 1 <= n_prompts <= len(known):
        sys.exit(f"--prompts must be 1 to {len(known)}")
    chats = [Chat(prompt) for prompt in known[:n_prompts]]
    layer = round(DEPTH * engine.spec.n_layers) - 1
    passages = neutral().passages[:2]
    read = engine.residuals([Chat(p.question) for p in passages], [p.text for p in passages], layers=[layer])
    drawn = np.random.default_rng(0).standard_normal(engine.spec.width)
    direction = drawn / np.linalg.norm(drawn) * RHO * float(read.token_norm.mean())
    strengths = np.linspace(-2, 2, n_strengths).tolist()
    return Job(engine, chats, layer, direction.astype(np.float32), strengths, new_tokens)


def one_batch(job: Job) -> Ways:
    """The same rows, unsteered and steered."""
    questions = prompts(load_trait("extraversion"), PROTOCOLS["standard"])
    chats = [prompt.chat for prompt in questions][: len(job.chats) * ROWS_A_PROMPT]

    def write(steering: Sequence[Steered] | None) -> float:
        job.engine.generate(chats, Sampling(job.new_tokens, TEMPERATURE), seeds=range(len(chats)), steering=steering)
        return 1.0

    return {
        "unsteered": lambda: write(None),
        "steered, one strength": lambda: write([job.at(1.0)] * len(chats)),
        "steered, a strength for each row": lambda: write([job.at(0.5 + at / len(chats)) for at in range(len(chats))]),
    }


def all_strengths(job: Job) -> Ways:
    """Every prompt at every strength: ours, and transformers' generate with a hook."""
    chats, strengths = job.chats, job.strengths

    def ours() -> float:
        rows = [(chat, strength) for strength in strengths for chat in chats]
        steering = [job.at(strength) for _, strength in rows]
        seeds = list(range(len(chats))) * len(strengths)
        sampling = Sampling(job.new_tokens, TEMPERATURE)
        job.engine.generate([chat for chat, _ in rows], sampling, seeds=seeds, steering=steering)
        return 1.0

    def one_at_a_time() -> float:
        few = strengths[:: max(1, len(strengths) // FEW_STRENGTHS)][:FEW_STRENGTHS]
        for chat in chats[:FEW_PROMPTS]:
            for strength in few:
                _hooked_generate(job, [chat], strength, job.new_tokens, temperature=TEMPERATURE)
        return len(chats) * len(strengths) / (len(chats[:FEW_PROMPTS]) * len(few))

    def one_batch_a_strength() -> float:
        for strength in strengths:
            _hooked_generate(job, chats, strength, job.new_tokens, temperature=TEMPERATURE)
        return 1.0

    return {
        "ours, one call": ours,
        f"`generate`, one batch a strength ({len(strengths)} calls)": one_batch_a_strength,
        f"`generate`, one prompt and strength at a time ({FEW_PROMPTS} x {FEW_STRENGTHS}, scaled)": one_at_a_time,
    }


def scores(job: Job) -> Ways:
    """Given replies at all strengths: prompt and earlier blocks run once, the prompt alone, nothing."""
    passages = neutral().passages
    given = [passages[at % len(passages)] for at in range(len(job.chats))]
    chats, texts = [Chat(passage.question) for passage in given], [passage.text for passage in given]
    plain = HuggingFaceModel(replace(job.engine._loaded, resumes=False))
    # An edit at every token that waits for what none meets changes no number, but leaves no prompt to share.
    idle = Steering({0: job.direction}, positions="all", condition=Condition(0, unit(job.direction), math.inf))
    steerings = [job.at(strength) for strength in job.strengths]

    def score(engine: HuggingFaceModel, edits: Sequence[Steered]) -> float:
        engine.score(chats, texts, steerings=edits, most_tokens=SCORED_TOKENS)
        return 1.0

    return {
        "ours, prompt run once, blocks resumed": lambda: score(job.engine, steerings),
        "prompt run once, all blocks": lambda: score(plain, steerings),
        "whole passes": lambda: score(plain, [(*steered, idle) for steered in steerings]),
    }


@torch.inference_mode()
def _hooked_generate(
    job: Job, chats: Sequence[Chat], strength: float, new_tokens: int, *, temperature: float
) -> torch.Tensor:
    """What transformers writes with a forward hook that adds the vector to the last token: [row token]."""
    loaded = job.engine._loaded
    tokenizer = loaded.chat_format.tokenizer
    texts = [loaded.chat_format.text(chat) for chat in chats]
    batch = tokenizer(texts, return_tensors="pt", padding=True, padding_side="left", add_special_tokens=False)
    drawn = {"do_sample": True, "temperature": temperature} if temperature else {"do_sample": False}
    with _adding(loaded.blocks[job.layer], strength * torch.from_numpy(job.direction)):
        written = loaded.model.generate(
            **batch, **drawn, max_new_tokens=new_tokens, pad_token_id=tokenizer.pad_token_id
        )
    reply = written[:, batch["input_ids"].shape[1] :]
    if reply.shape[1] < new_tokens:
        sys.exit("a reply of transformers ended early: the times would not compare")
    return reply


@contextmanager
def _adding(block: torch.nn.Module, vector: torch.Tensor) -> Iterator[None]:
    def hook(_block: torch.nn.Module, _args: object, output: torch.Tensor | tuple) -> None:
        stream = output[0] if isinstance(output, tuple) else output
        stream[:, -1] += vector.to(stream.dtype)

    handle = block.register_forward_hook(hook)
    try:
        yield
    finally:
        handle.remove()


def _check_alike(job: Job) -> None:
    """Stop unless both ways write the same, greedily, at a strength that turns words."""
    strength, few = 4 * max(job.strengths), 8
    form = job.engine._loaded.chat_format
    theirs = [form.reply_text(ids) for ids in _hooked_generate(job, job.chats, strength, few, temperature=0).tolist()]
    steering = [job.at(strength)] * len(job.chats)
    made = job.engine.generate(job.chats, Sampling(few, 0.0), seeds=range(len(job.chats)), steering=steering)
    ours = [reply.text for reply in made.replies]
    if ours != theirs:
        sys.exit(f"the two ways do not steer alike:\n{ours}\n{theirs}")


def _print(what: str, ways: Ways, rounds: int) -> None:
    """A table of medians; ratios are taken round by round, against the first way."""
    seconds: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(rounds):
        for name, way in ways.items():
            start = time.perf_counter()
            times = way()
            seconds[name].append(times * (time.perf_counter() - start))
    first = next(iter(seconds.values()))
    print(f"\n**{what}**\n\n| way | seconds (median) | this / first row |\n|---|---|---|")
    for name, found in seconds.items():
        ratio = statistics.median(theirs / ours for ours, theirs in zip(first, found, strict=True))
        print(f"| {name} | {statistics.median(found):.2f} | {ratio:.2f} |")


if __name__ == "__main__":
    main()
