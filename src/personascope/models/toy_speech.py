"""What the toy engine says: words drawn one by one from its leaning, and how likely given words are.

The formulas are told in `toy`. Knows the toy's stream and words; knows no batch and no hook.
"""

from collections.abc import Callable, Iterator, Sequence

import numpy as np
from jaxtyping import Float64

from personascope.models.protocols import Chat, Reply, Sampling, Scores, Steered
from personascope.models.toy_stream import Stream, asked
from personascope.models.toy_words import (
    chances,
    length_drawn,
    log_chances,
    log_chances_of,
    slopes_of,
    words_drawn,
)


def replies_drawn(
    stream: Stream, chats: Sequence[Chat], sampling: Sampling, seeds: Sequence[int], rows: Sequence[Steered]
) -> Iterator[Reply]:
    """One reply after another, each from its own random numbers."""
    hot = sampling.temperature > 0
    sources = [str(seed) if hot else asked(chat) for chat, seed in zip(chats, seeds, strict=True)]
    for chat, numbers, steered in zip(chats, stream.generators("draw", sources), rows, strict=True):
        yield _written(stream, chat, steered, sampling.temperature, numbers.random((sampling.max_new_tokens, 2)))


def _written(
    stream: Stream, chat: Chat, steered: Steered, temperature: float, uniform: Float64[np.ndarray, "token 2"]
) -> Reply:
    """The reply that uniform numbers pick: the first column says where it ends, the second which words it has."""
    n_words, ended = length_drawn(uniform[:, 0])
    told = stream.leaning(chat.instruction or "")
    looks = any(edit.mode != "add" or edit.condition for edit in steered)  # at the token, to know what to change
    words: list[str] = []
    while len(words) < n_words:
        at = len(words)
        until = at + 1 if looks or (steered and at == 0) else n_words
        chance = chances(told + _moved(stream, chat, words, steered), stream.planted.pull, temperature)
        words += words_drawn(chance, uniform[at:until, 1])
    return Reply(" ".join(words), n_words, ended=ended)


def _moved(stream: Stream, chat: Chat, words: Sequence[str], steered: Steered) -> float:
    """How far the edits of the newest token move the leaning of the word after it."""
    if not steered:
        return 0.0
    newest = stream.tokens(chat, " ".join(words), first=len(words))
    return float(stream.edited(newest, steered, first=len(words))[1][0])


def _scored(
    stream: Stream, chat: Chat, reply: str, n_words: int, steerings: Sequence[Steered]
) -> Iterator[tuple[Float64[np.ndarray, " token"], Float64[np.ndarray, " token"]]]:
    """Log-chance of the first words of a reply and KL(steered || unsteered) there, under one steering after another."""
    tokens, words = stream.tokens(chat, reply)[:n_words], reply.split()[:n_words]
    told = np.full(n_words, stream.leaning(chat.instruction or ""))
    plain = log_chances(told, stream.planted.pull)
    for steered in steerings:
        moved = stream.edited(tokens, steered)[1] if steered else np.zeros(n_words)
        found = log_chances(told + moved, stream.planted.pull)
        yield log_chances_of(words, found), np.maximum((np.exp(found) * (found - plain)).sum(axis=1), 0.0)


def scores(
    stream: Stream,
    texts: Sequence[tuple[Chat, str]],
    steerings: Sequence[Steered],
    most_tokens: int | None,
    done: Callable[[], None],
) -> Scores:
    """How likely the first words of each reply are under each steering; `done` is called once for each of both."""
    lengths = [len(reply.split()[:most_tokens]) for _, reply in texts]
    blank = np.full((len(steerings), len(texts), max([1, *lengths])), np.nan, np.float32)
    logp, kl = blank, blank.copy()
    for row, ((chat, reply), length) in enumerate(zip(texts, lengths, strict=True)):
        for number, found in enumerate(_scored(stream, chat, reply, length, steerings)):
            logp[number, row, :length], kl[number, row, :length] = found
            done()
    return Scores(logp, kl)


def leaning_slope(stream: Stream, chat: Chat, reply: str, most_tokens: int | None) -> float:
    """How the mean log-chance of a reply's first words changes with the leaning, in nats; 0 for a reply without any."""
    words = reply.split()[:most_tokens]
    told = stream.leaning(chat.instruction or "")
    return float(slopes_of(words, told, stream.planted.pull).mean()) if words else 0.0
