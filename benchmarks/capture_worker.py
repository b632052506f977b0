"""One tool's capture of one set of texts, timed: run by `capture.py`, each tool in an environment of its own.

Prints one JSON line: tokens, seconds (after a warm-up), and peak memory in MB before and after.
Arguments: TOOL MODEL_FOLDER TEXTS_JSON SET.
"""

import json
import resource
import sys
import time
from collections.abc import Callable
from pathlib import Path

BATCH = 32
DEPTH = 0.8


def main() -> None:
    tool, folder, texts_json, which = sys.argv[1:]
    texts = json.loads(Path(texts_json).read_text())[which]
    tokens, capture = TOOLS[tool](folder, texts, which)
    capture(8)
    before, start = _peak(), time.perf_counter()
    capture(len(texts))
    seconds = time.perf_counter() - start
    print(json.dumps({"tokens": tokens, "seconds": seconds, "peak_mb": _peak(), "warm_mb": before}))


def _peak() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def _load(folder: str) -> tuple:
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(folder)
    tokenizer.pad_token_id = tokenizer.pad_token_id if tokenizer.pad_token_id is not None else tokenizer.eos_token_id
    model = AutoModelForCausalLM.from_pretrained(folder, torch_dtype=torch.float32).eval()
    return model, tokenizer


def _count(tokenizer: object, texts: list[str]) -> int:
    return sum(len(ids) for ids in tokenizer(texts, add_special_tokens=False)["input_ids"])


def _ours(_folder: str, texts: list[str], which: str) -> tuple[int, Callable[[int], None]]:
    from texts import job

    from personascope.models.opening import open_model
    from personascope.models.protocols import Chat

    engine = open_model("smollm2-135m", precision="float32")
    tokens = _count(engine._loaded.chat_format.tokenizer, texts)
    n_layers = engine.spec.n_layers
    if which == "mixed":
        # The first word is the prompt, the rest is pooled: as much pooling as there can be.
        parts = [text.split(" ", 1) for text in texts]
        chats, replies = [Chat(head, raw=True) for head, _ in parts], [" " + tail for _, tail in parts]
        layers = list(range(n_layers))
    else:
        (chats, replies), layers = job(len(texts)), list(range(int(DEPTH * n_layers)))
    return tokens, lambda n: engine.residuals(chats[:n], replies[:n], layers=layers)


def _bare(folder: str, texts: list[str], _which: str) -> tuple[int, Callable[[int], None]]:
    """The model's own forward pass without its output head, on batches sorted by length; nothing is kept."""
    import torch

    model, tokenizer = _load(folder)
    ids = sorted(tokenizer(texts, add_special_tokens=False)["input_ids"], key=len, reverse=True)

    @torch.inference_mode()
    def run(n: int) -> None:
        at, some = 0, ids[:n]
        while at < len(some):
            size = max(1, 4096 // len(some[at]))
            batch = tokenizer.pad({"input_ids": some[at : at + size]}, return_tensors="pt", padding_side="right")
            model.model(**batch, use_cache=False)
            at += size

    return sum(map(len, ids)), run


def _repeng(folder: str, texts: list[str], _which: str) -> tuple[int, Callable[[int], None]]:
    from repeng.extract import batched_get_hiddens

    model, tokenizer = _load(folder)
    layers = list(range(1, model.config.num_hidden_layers))
    return _count(tokenizer, texts), lambda n: batched_get_hiddens(model, tokenizer, texts[:n], layers, BATCH)


def _steering_vectors(folder: str, texts: list[str], _which: str) -> tuple[int, Callable[[int], None]]:
    from steering_vectors import train_steering_vector

    model, tokenizer = _load(folder)

    def run(n: int) -> None:
        pairs = list(zip(texts[0:n:2], texts[1:n:2], strict=True))
        train_steering_vector(model, tokenizer, pairs, batch_size=BATCH // 2)

    return _count(tokenizer, texts), run


TOOLS = {"personascope": _ours, "bare": _bare, "repeng": _repeng, "steering-vectors": _steering_vectors}

if __name__ == "__main__":
    main()
