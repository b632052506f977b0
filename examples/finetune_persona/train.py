"""Train a LoRA adapter towards one pole of a trait, on the matched replies of the catalogue.

    python examples/finetune_persona/train.py --trait extraversion --pole high

Each question of the trait comes with a high and a low reply, alike in length and manner. The adapter learns to prefer
the reply of the wanted pole to the other one (direct preference optimisation, Rafailov et al. 2023, arXiv 2305.18290):
what both have in common, such as being told in the first person, is not learnt. `--method imitate` learns the wanted
replies alone, manner and all; compare shows the difference. Minutes on two processor cores.
"""

import argparse
import sys
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from peft import LoraConfig, get_peft_model
from torch import Tensor

from personascope.errors import TraitError, UserError
from personascope.models import default_model
from personascope.models.loading import Source, load
from personascope.traits import Trait, load_trait

BATCH = 8
"""Questions a step."""
BETA = 0.1
"""How strongly the adapter is held to the base (nats of preference are divided by it)."""


def main(arguments: Sequence[str] | None = None) -> None:
    """Train, save, and print what to run next."""
    asked = _parser().parse_args(arguments)
    try:
        _train(asked)
    except UserError as error:
        sys.exit(f"{error}\n  {error.hint}")


def _train(asked: argparse.Namespace) -> None:
    trait = load_trait(asked.trait)
    if not trait.replies:
        raise TraitError(
            f"{trait.name} has no matched replies to train on", hint="add some under `replies` in its file"
        )
    folder = asked.save_dir or Path(f"{asked.model.replace('/', '_')}_{trait.name}_{asked.pole}")
    losses = train(asked, trait, folder)
    print(f"\nLoss: {losses[0]:.2f} in the first epoch, {losses[-1]:.2f} in the last")
    print(f"Adapter saved to: {folder}")
    print(f"Next: personascope compare {asked.model} {folder}")


def train(asked: argparse.Namespace, trait: Trait, folder: Path) -> list[float]:
    """Train the adapter and save it in `folder`; the mean loss of each epoch."""
    torch.manual_seed(asked.seed)
    place = default_model.default_model_source() if asked.model == default_model.NAME else asked.model
    base, tokenizer = load(Source(asked.model, place), torch.float32, torch.device("cpu"))
    settings = LoraConfig(r=8, lora_alpha=16, target_modules="all-linear", task_type="CAUSAL_LM")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of names that transformers will change
        model: Any = get_peft_model(base, settings)
    model.peft_config["default"].base_model_name_or_path = asked.model
    other = "low" if asked.pole == "high" else "high"
    wanted, unwanted = (
        [_tokens(tokenizer, reply.question, getattr(reply, pole)) for reply in trait.replies]
        for pole in (asked.pole, other)
    )
    optimiser = torch.optim.AdamW([p for p in model.parameters() if p.requires_grad], lr=asked.learning_rate)
    losses = []
    for _ in range(asked.epochs):
        total = 0.0
        for some in torch.randperm(len(wanted)).split(BATCH):
            pairs = [wanted[at] for at in some], [unwanted[at] for at in some]
            loss = _imitation(model, pairs[0]) if asked.method == "imitate" else _preference(model, *pairs)
            loss.backward()
            optimiser.step()
            optimiser.zero_grad()
            total += float(loss.detach()) * len(some)
            print(".", end="", file=sys.stderr, flush=True)
        losses.append(total / len(wanted))
    model.save_pretrained(folder, save_embedding_layers=False)
    return losses


Row = tuple[list[int], int]
"""The token ids of a chat, and where its reply begins."""


def _preference(model: Any, wanted: Sequence[Row], unwanted: Sequence[Row]) -> Tensor:
    """How little the adapter, compared with the base, prefers the wanted replies to the unwanted ones."""
    rows = [*wanted, *unwanted]
    with torch.no_grad(), model.disable_adapter():
        base = _log_likelihoods(model, rows)
    gained = _log_likelihoods(model, rows) - base
    ahead = gained[: len(wanted)] - gained[len(wanted) :]
    return -torch.nn.functional.logsigmoid(BETA * ahead).mean()


def _imitation(model: Any, wanted: Sequence[Row]) -> Tensor:
    """Mean negative log-likelihood of the wanted replies, nats per token."""
    n_tokens = sum(len(ids) - start for ids, start in wanted)
    return -_log_likelihoods(model, wanted).sum() / n_tokens


def _log_likelihoods(model: Any, rows: Sequence[Row]) -> Tensor:
    """The log-likelihood of each reply, summed over its tokens."""
    longest = max(len(ids) for ids, _ in rows)
    ids = torch.zeros(len(rows), longest, dtype=torch.long)
    is_text, is_reply = torch.zeros_like(ids), torch.zeros_like(ids)
    for at, (row, start) in enumerate(rows):
        ids[at, : len(row)] = torch.tensor(row)
        is_text[at, : len(row)] = 1
        is_reply[at, start : len(row)] = 1
    logits = model(input_ids=ids, attention_mask=is_text).logits[:, :-1]
    told = torch.log_softmax(logits, dim=-1).gather(-1, ids[:, 1:, None])[..., 0]
    return (told * is_reply[:, 1:]).sum(dim=-1)


def _tokens(tokenizer: Any, question: str, reply: str) -> Row:
    """A chat as token ids, and where the reply begins."""
    asked = [{"role": "user", "content": question}]
    prompt = tokenizer.apply_chat_template(asked, add_generation_prompt=True, tokenize=True, return_dict=False)
    answered = tokenizer(reply + tokenizer.eos_token, add_special_tokens=False)["input_ids"]
    return [*prompt, *answered], len(prompt)


def _count(text: str) -> int:
    """A number of 1 or more; argparse tells what it was not."""
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f"{text} is less than 1")
    return number


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default=default_model.NAME, help="Hub name, folder or smollm2-135m")
    parser.add_argument("--trait", default="extraversion", help="a trait of the catalogue, or a YAML file")
    parser.add_argument("--pole", choices=("high", "low"), default="high")
    parser.add_argument("--method", choices=("prefer", "imitate"), default="prefer")
    parser.add_argument("--epochs", type=_count, default=6)
    parser.add_argument("--learning-rate", type=float, default=5e-4)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--save-dir", type=Path, help="<model>_<trait>_<pole> if not given")
    return parser


if __name__ == "__main__":
    main()
