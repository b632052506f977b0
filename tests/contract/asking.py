"""What the contract suite asks every engine: the same chats and replies, whole or in parts."""

import numpy as np

from personascope.models.protocols import Chat, Residuals, Sampling

CHATS = (
    Chat("How was your day?", "You are a cheerful, lively friend."),
    Chat("How was your day?", "You are a gloomy, listless friend."),
    Chat("What would you do with a free hour in a town that you have never been to before?", "You are merry."),
    Chat("Tell me about the road."),
    Chat("Why?", "You are a person of few words who looks at things from every side before saying anything."),
)
REPLIES = (
    "it was a sunny day",
    "so weary",
    "",
    "the road was here",
    "and then we plan the day with the town so it was",
)
EVERY = tuple(range(len(CHATS)))
SEEDS = (11, 12, 13, 14, 15)
SAMPLED = Sampling(max_new_tokens=12, temperature=1.0)
GREEDY = Sampling(max_new_tokens=12, temperature=0.0)
ORDERS = {"one by one": [[0], [1], [2], [3], [4]], "in twos": [[0, 1], [2, 3], [4]], "reversed": [[4, 3, 2, 1, 0]]}


def all_layers(engine):
    return range(engine.spec.n_layers)


def rows(residuals, picked):
    return Residuals(*(getattr(residuals, name)[picked] for name in Residuals.__dataclass_fields__))


def at(residuals, layers):
    arrays = (residuals.reply_mean, residuals.prompt_last, residuals.token_norm)
    return Residuals(*(array[:, layers] for array in arrays), residuals.n_tokens)


def generate(engine, picked=EVERY, sampling=SAMPLED, seeds=SEEDS, **asked):
    return engine.generate([CHATS[i] for i in picked], sampling, seeds=[seeds[i] for i in picked], **asked)


def read(engine, picked=EVERY, **asked):
    asked = {"layers": all_layers(engine)} | asked
    return engine.residuals([CHATS[i] for i in picked], [REPLIES[i] for i in picked], **asked)


def score(engine, steerings, picked=EVERY, **asked):
    return engine.score([CHATS[i] for i in picked], [REPLIES[i] for i in picked], steerings=steerings, **asked)


def spoken(residuals):
    """Which rows have tokens that count."""
    return np.asarray(residuals.n_tokens) > 0
