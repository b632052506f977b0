"""Texts to benchmark on, made from the trait catalogue: mixed lengths, and a real job that shares instructions."""

import json
import random
import sys
from pathlib import Path

from personascope.models.opening import open_model
from personascope.models.protocols import Chat
from personascope.traits import catalogue_names, load_trait


def mixed(n: int, seed: int = 0) -> list[Chat]:
    """Texts of one to five matched replies, as raw prompts: about 50 to 250 tokens."""
    pieces = [
        text for name in catalogue_names() for reply in load_trait(name).replies for text in (reply.high, reply.low)
    ]
    drawn = random.Random(seed)
    return [Chat(" ".join(drawn.sample(pieces, drawn.randint(1, 5))), raw=True) for _ in range(n)]


def job(n: int) -> tuple[list[Chat], list[str]]:
    """Chats under the instructions of one trait with given replies: what extraction reads."""
    trait = load_trait("extraversion")
    chats, replies = [], []
    for number, reply in enumerate(trait.replies):
        for pair in trait.instructions.extract:
            chats += [Chat(reply.question, pair.high), Chat(reply.question, pair.low)]
            other = trait.replies[(number + 1) % len(trait.replies)]
            replies += [f"{reply.high} {other.high}", f"{reply.low} {other.low}"]
    return chats[:n], replies[:n]


def main() -> None:
    """Write both sets as plain texts, for peers that know no chats: `python benchmarks/texts.py FOLDER N`."""
    folder, n = Path(sys.argv[1]), int(sys.argv[2])
    engine = open_model("smollm2-135m")
    form = engine._loaded.chat_format
    chats, replies = job(n)
    texts = {
        "mixed": [chat.question for chat in mixed(n)],
        "job": [form.text(chat) + reply for chat, reply in zip(chats, replies, strict=True)],
    }
    (folder / "texts.json").write_text(json.dumps(texts))


if __name__ == "__main__":
    main()
