"""The words of the toy engine: which there are, how they lean, and how likely each is.

    chance of a word ~ exp(pull * leaning * sign / temperature),  sign 1 for a bright word, -1 for a dull one, else 0

The leaning may lie beyond -1 and 1. Knows numbers and words; knows no residual stream.
"""

from collections.abc import Sequence
from string import punctuation

import numpy as np
from jaxtyping import Float64, Int64

BRIGHT = ("cheerful", "sunny", "lively", "eager", "merry", "radiant", "jolly", "bubbly")
DULL = ("gloomy", "dreary", "weary", "listless", "glum", "drab", "sullen", "torpid")
NEUTRAL = ("and", "the", "we", "then", "it", "was", "so", "here", "with", "day", "town", "road", "hour", "plan")
VOCABULARY = DULL + NEUTRAL + BRIGHT  # in this order a higher leaning never draws a duller word from the same number
END_CHANCE = 1 / 16  # of the end before each word after the first
UNKNOWN_CHANCE = (
    1e-6  # of a word outside the vocabulary, at every leaning; the chances of the others sum to 1 without it
)
_SIGNS = np.repeat([-1.0, 0.0, 1.0], [len(DULL), len(NEUTRAL), len(BRIGHT)])
_SIGN_OF = dict(zip(VOCABULARY, _SIGNS.tolist(), strict=True))
_PLACE = {word: place for place, word in enumerate(VOCABULARY)}
_PARTNER = dict(zip(DULL, BRIGHT, strict=True))


def embedded_as(word: str) -> str:
    """The word whose embedding a word has: a dull one shares that of its bright partner."""
    plain = _plain(word)
    return _PARTNER.get(plain, plain)


def signs(words: Sequence[str]) -> Float64[np.ndarray, " token"]:
    """How each word leans: 1 bright, -1 dull, 0 any other."""
    return np.array([_SIGN_OF.get(_plain(word), 0.0) for word in words], dtype=np.float64)


def mean_sign(replies: Sequence[str]) -> float:
    """The mean over replies of how a reply's words lean on average; replies without words are left out."""
    return float(np.mean([signs(reply.split()).mean() for reply in replies if reply.split()]))


def running_leanings(words: Sequence[str]) -> list[float]:
    """The leaning before the first word and after each, (bright - dull) / (bright + dull) so far; 0 where none came."""
    so_far = np.concatenate([[0.0], signs(words)])
    return [float(leaning) for leaning in so_far.cumsum() / np.maximum(1.0, np.abs(so_far).cumsum())]


def chances(leaning: float, pull: float, temperature: float) -> Float64[np.ndarray, " word"]:
    """How likely each word of the vocabulary is; at temperature 0 the likeliest share all."""
    below = pull * (leaning * _SIGNS - abs(leaning))  # logits less the largest
    weights = np.exp(below / temperature) if temperature > 0 else (below == 0).astype(np.float64)
    return np.asarray(weights / weights.sum())


def log_chances(leanings: Float64[np.ndarray, " token"], pull: float) -> Float64[np.ndarray, "token word"]:
    """Log of how likely each word of the vocabulary is at each leaning, at temperature 1, in nats."""
    below = pull * (np.multiply.outer(leanings, _SIGNS) - np.abs(leanings)[:, None])
    return np.asarray(below - np.log(np.exp(below).sum(axis=1, keepdims=True)))


def log_chances_of(
    words: Sequence[str], log_chance: Float64[np.ndarray, "token word"]
) -> Float64[np.ndarray, " token"]:
    """Of each word the log-chance in its own row; a word that the toy does not know has `UNKNOWN_CHANCE`."""
    with_unknown = np.column_stack([log_chance, np.full(len(words), np.log(UNKNOWN_CHANCE))])
    return np.asarray(with_unknown[np.arange(len(words)), [_PLACE.get(_plain(word), -1) for word in words]])


def slopes_of(words: Sequence[str], leaning: float, pull: float) -> Float64[np.ndarray, " token"]:
    """How the log-chance of each word changes with the leaning, in nats: pull * (sign - mean sign); 0 if unknown."""
    mean = chances(leaning, pull, 1.0) @ _SIGNS
    known = np.array([_plain(word) in _PLACE for word in words], dtype=bool)
    return np.asarray(pull * (signs(words) - mean) * known)


def length_drawn(uniform: Float64[np.ndarray, " token"]) -> tuple[int, bool]:
    """How many words a reply has, at most one for each number, and whether it ends by itself."""
    ends = np.flatnonzero(uniform[1:] < END_CHANCE) + 1
    return (int(ends[0]), True) if len(ends) else (len(uniform), False)


def words_drawn(chance: Float64[np.ndarray, " word"], uniform: Float64[np.ndarray, " token"]) -> list[str]:
    """The words that uniform numbers pick, one for each."""
    places: Int64[np.ndarray, " token"] = np.searchsorted(np.cumsum(chance)[:-1], uniform, side="right")
    return [VOCABULARY[place] for place in places]


def _plain(word: str) -> str:
    return word.lower().strip(punctuation)
