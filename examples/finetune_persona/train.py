"""Train a LoRA adapter on one pole of a trait: the matched replies of the catalogue, as a chat model would give them.

    python examples/finetune_persona/train.py --trait extraversion --pole high

The adapter lands in a folder of its own; the printed command then asks what the training did to the persona.
Loss on the reply's tokens only. Minutes on two processor cores.
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from peft import LoraConfig, get_peft_model
from torch import Tensor
from transformers import AutoModelForCausalLM, AutoTokenizer

from personascope.models import default_model
from personascope.traits import Trait, load_trait

IGNORED = -100
"""The label of a token that is not learnt, by transformers' convention."""


def main(arguments: Sequence[str] | None = None) -> None:
    """Train, save, and print what to run next."""
    asked = _parser().parse_args(arguments)
    trait = load_trait(asked.trait)
    folder = asked.save_dir or Path(f"{asked.model.replace('/', '_')}_{trait.name}_{asked.pole}")
    losses = train(asked.model, trait, asked.pole, folder, epochs=asked.epochs, seed=asked.seed)
    print(f"Loss per token of the {asked.pole} replies: {losses[0]:.2f} in the first epoch, {losses[-1]:.2f} in the last")
    print(f"Adapter saved to: {folder}")
    print(f"Next: personascope compare {asked.model} {folder}")


def train(name: str, trait: Trait, pole: str, folder: Path, *, epochs: int, seed: int) -> list[float]:
    """Train the adapter and save it in `folder`; the mean loss of each epoch, nats per token."""
    torch.manual_seed(seed)
    place = default_model.default_model_source() if name == default_model.NAME else name
    tokenizer = AutoTokenizer.from_pretrained(place)
    model = AutoModelForCausalLM.from_pretrained(place, dtype=torch.float32)
    adapted: Any = get_peft_model(
        model, LoraConfig(r=8, lora_alpha=16, target_modules="all-linear", task_type="CAUSAL_LM", lora_dropout=0.0)
    )
    adapted.peft_config["default"].base_model_name_or_path = name
    rows = [_tokens(tokenizer, reply.question, getattr(reply, pole)) for reply in trait.replies]
    optimiser = torch.optim.AdamW([p for p in adapted.parameters() if p.requires_grad], lr=2e-4, weight_decay=0.0)
    losses = [_epoch(adapted, optimiser, rows) for _ in range(epochs)]
    adapted.save_pretrained(folder)
    return losses


def _epoch(model: Any, optimiser: torch.optim.Optimizer, rows: Sequence[tuple[list[int], int]]) -> float:
    """One pass over all rows in a new order, a few at a time; the mean loss."""
    order, total = torch.randperm(len(rows)).tolist(), 0.0
    for start in range(0, len(order), BATCH):
        ids, labels = _padded([rows[at] for at in order[start : start + BATCH]])
        loss = model(input_ids=ids, attention_mask=(labels != PAD).long(), labels=labels.clamp(min=IGNORED)).loss
        loss.backward()
        optimiser.step()
        optimiser.zero_grad()
        total += float(loss.detach()) * len(ids)
        print(".", end="", file=sys.stderr, flush=True)
    return total / len(order)


BATCH = 8
PAD = -200
"""Marks padding among the labels until the mask has been made."""


def _padded(rows: Sequence[tuple[list[int], int]]) -> tuple[Tensor, Tensor]:
    """Token ids and labels of some rows, filled up on the right; what is not of the reply is ignored."""
    longest = max(len(ids) for ids, _ in rows)
    ids = torch.zeros(len(rows), longest, dtype=torch.long)
    labels = torch.full((len(rows), longest), PAD)
    for at, (row, start) in enumerate(rows):
        ids[at, : len(row)] = torch.tensor(row)
        labels[at, : len(row)] = torch.tensor([IGNORED] * start + row[start:])
    return ids, labels


def _tokens(tokenizer: Any, question: str, reply: str) -> tuple[list[int], int]:
    """A chat as token ids, and where the reply begins."""
    asked = [{"role": "user", "content": question}]
    prompt = tokenizer.apply_chat_template(asked, add_generation_prompt=True, tokenize=True, return_dict=False)
    answered = tokenizer(reply + tokenizer.eos_token, add_special_tokens=False)["input_ids"]
    return [*prompt, *answered], len(prompt)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default=default_model.NAME, help="Hub name, folder or smollm2-135m")
    parser.add_argument("--trait", default="extraversion", help="a trait of the catalogue, or a YAML file")
    parser.add_argument("--pole", choices=("high", "low"), default="high")
    parser.add_argument("--epochs", type=int, default=8)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--save-dir", type=Path, help="<model>_<trait>_<pole> if not given")
    return parser


if __name__ == "__main__":
    main()
