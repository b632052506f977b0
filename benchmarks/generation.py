"""Replies with their activations: ours against `generate` and a second pass, in one run, at the same batch.

`python benchmarks/generation.py`: plain `generate(do_sample=True)` with its defaults followed by a batched pass with
`output_hidden_states`, as peers do it; and `generate` alone. Rounds take the ways in turn. Run it alone.
"""

import argparse
import resource
import statistics
import time
from collections.abc import Callable

import torch

from personascope.models.huggingface import HuggingFaceModel
from personascope.models.opening import open_model
from personascope.models.protocols import Sampling
from personascope.models.running import Limits
from personascope.prompts import PROTOCOLS, prompts
from personascope.traits import load_trait


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=64)
    parser.add_argument("--new-tokens", type=int, default=128)
    parser.add_argument("--rounds", type=int, default=3)
    asked = parser.parse_args()
    engine = open_model("smollm2-135m", limits=Limits(rows=asked.rows))
    chats = [prompt.chat for prompt in prompts(load_trait("extraversion"), PROTOCOLS["standard"])][: asked.rows]
    layers = list(range(engine.spec.n_layers))
    ways: dict[str, Callable[[], int]] = {
        "ours, replies and activations": lambda: sum(
            reply.n_tokens
            for reply in engine.generate(
                chats, Sampling(asked.new_tokens), seeds=range(len(chats)), layers=layers
            ).replies
        ),
        "ours, replies alone": lambda: sum(
            reply.n_tokens
            for reply in engine.generate(chats, Sampling(asked.new_tokens), seeds=range(len(chats))).replies
        ),
        "generate, then a second pass": lambda: _plain(engine, chats, asked.new_tokens, second=True),
        "generate alone": lambda: _plain(engine, chats, asked.new_tokens, second=False),
    }
    engine.generate(chats[:4], Sampling(4), seeds=range(4), layers=layers)
    rates: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(asked.rounds):
        for name, way in ways.items():
            start = time.perf_counter()
            n_tokens = way()
            rates[name].append(n_tokens / (time.perf_counter() - start))
    ours = rates["ours, replies and activations"]
    print(f"{asked.rows} rows, {asked.new_tokens} new tokens, {engine.spec.dtype}, {torch.get_num_threads()} threads")
    print("| way | reply tokens/s (median) | first row / this |\n|---|---|---|")
    for name, found in rates.items():
        ratio = statistics.median(mine / theirs for mine, theirs in zip(ours, found, strict=True))
        print(f"| {name} | {statistics.median(found):.0f} | {ratio:.2f} |")
    print(f"peak memory of the process: {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024:.0f} MB")


@torch.inference_mode()
def _plain(engine: HuggingFaceModel, chats: list, new_tokens: int, *, second: bool) -> int:
    """What peers do: transformers' own generate, and for activations the whole texts once more."""
    form, model = engine._loaded.chat_format, engine._loaded.model
    tokenizer = form.tokenizer
    batch = tokenizer([form.text(chat) for chat in chats], return_tensors="pt", padding=True, padding_side="left")
    written = model.generate(**batch, do_sample=True, max_new_tokens=new_tokens, pad_token_id=tokenizer.pad_token_id)
    prompt = batch["input_ids"].shape[1]
    replies = written[:, prompt:]
    n_tokens = int((replies != tokenizer.pad_token_id).sum())
    if second:
        mask = torch.cat([batch["attention_mask"], (replies != tokenizer.pad_token_id).long()], dim=1)
        for start in range(0, len(written), 32):
            part = slice(start, start + 32)
            states = model(input_ids=written[part], attention_mask=mask[part], output_hidden_states=True).hidden_states
            weights = mask[part, prompt:].unsqueeze(-1).float()
            _ = [(state[:, prompt:].float() * weights).sum(1) / weights.sum(1) for state in states]
    return n_tokens


if __name__ == "__main__":
    main()
