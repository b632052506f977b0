"""Rollouts: chats with the replies they got, as JSON lines.

A reply may be the model's own or given; the record says which by its seed. Knows no engine.
"""

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from personascope.artifacts import write_whole
from personascope.errors import ArtifactError
from personascope.models.protocols import Chat, Pole


@dataclass(frozen=True)
class Rollout:
    """One chat and its reply. `seed` is None where the reply was given; `pair` and `question` are design numbers."""

    chat: Chat
    reply: str
    pole: Pole
    pair: int
    question: int
    n_tokens: int | None = None
    ended: bool | None = None
    seed: int | None = None

    def to_line(self) -> str:
        """One JSON line."""
        fields = {
            "pole": self.pole,
            "pair": self.pair,
            "question_id": self.question,
            "instruction": self.chat.instruction,
            "prompt": self.chat.question,
            "raw": self.chat.raw,
            "reply": self.reply,
            "n_tokens": self.n_tokens,
            "ended": self.ended,
            "seed": self.seed,
        }
        return json.dumps(fields, ensure_ascii=False)

    @staticmethod
    def from_line(line: str) -> "Rollout":
        """Of one JSON line that `to_line` made."""
        fields = json.loads(line)
        return Rollout(
            Chat(fields["prompt"], fields["instruction"], fields["raw"]),
            fields["reply"],
            fields["pole"],
            fields["pair"],
            fields["question_id"],
            fields["n_tokens"],
            fields["ended"],
            fields["seed"],
        )


def write_rollouts(path: Path, rollouts: Iterable[Rollout]) -> None:
    """Put the rollouts in place as JSON lines, in one step."""

    def write(part: Path) -> None:
        with part.open("w", encoding="utf-8") as file:
            file.writelines(rollout.to_line() + "\n" for rollout in rollouts)

    write_whole(path, write)


def read_rollouts(path: Path) -> Iterator[Rollout]:
    """The rollouts in a file. Raises ArtifactError, naming the line, where one is damaged."""
    with path.open(encoding="utf-8") as file:
        for number, line in enumerate(file, 1):
            try:
                yield Rollout.from_line(line)
            except (ValueError, KeyError, TypeError) as error:
                raise ArtifactError(
                    f"line {number} of {path} is no rollout ({error})", hint="delete the file and run extract again"
                ) from error
