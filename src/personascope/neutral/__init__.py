"""Neutral texts: on these steering must do no harm, so they calibrate the dose of any persona vector.

Knows texts only. They are the same for every trait and every model; `digest` tells which edition was used.
"""

import hashlib
import json
from dataclasses import asdict, dataclass
from functools import cache
from importlib import resources

import yaml

__all__ = ["Neutral", "Passage", "neutral"]


@dataclass(frozen=True)
class Passage:
    """A neutral question and a plain factual answer to it."""

    question: str
    text: str


@dataclass(frozen=True)
class Neutral:
    """Short requests to be answered by a model, and passages to be scored as they stand.

    `digest` is a short hash of all texts in their order.
    """

    prompts: tuple[str, ...]
    passages: tuple[Passage, ...]
    digest: str


@cache
def neutral() -> Neutral:
    """The neutral texts that are shipped: 24 prompts and 16 passages."""
    fields = yaml.safe_load((resources.files(__name__) / "neutral.yaml").read_text(encoding="utf-8"))
    prompts = tuple(fields["prompts"])
    passages = tuple(Passage(**passage) for passage in fields["passages"])
    texts = json.dumps([prompts, [asdict(passage) for passage in passages]])
    return Neutral(prompts, passages, hashlib.sha256(texts.encode()).hexdigest()[:16])
