"""Chats for the toy, edits along its planted direction and across it, and what they do to S."""

import numpy as np

from personascope.dose_response import propensity, token_means
from personascope.models.protocols import Chat, Sampling, Steering
from personascope.models.toy import Planted

SAMPLING = Sampling(max_new_tokens=12)
SHALLOW = Planted(n_layers=2, layer=1)  # as the default model at its planted layer, and faster


def apart(instruction, n):
    """Chats that share neither question nor instruction."""
    return [Chat(f"{instruction} and matter {i}?", f"{instruction} Your number is {i}.") for i in range(n)]


def activations(model, chats, first_seed, field="reply_mean"):
    seeds = range(first_seed, first_seed + len(chats))
    made = model.generate(chats, SAMPLING, seeds=seeds, layers=range(model.spec.n_layers))
    return getattr(made.residuals, field).astype(np.float64)


def planted(model, layer, strength=1.0, **more):
    """One gap of the planted direction at a layer, times the strength."""
    return Steering({layer: (model.gap(layer) * model.planted_direction(layer)).astype(np.float32)}, strength, **more)


def crosswise(model, layer, number=0):
    """A direction of length 1 at right angles to the planted one."""
    raw = np.random.default_rng(number).standard_normal(model.spec.width)
    raw -= raw @ model.planted_direction(layer) * model.planted_direction(layer)
    return (raw / np.linalg.norm(raw)).astype(np.float32)


def rollouts(model, n=20):
    """Replies of both poles to each of n questions: the questions' chats without instruction, the replies, the pole."""
    questions = [f"What of matter {i}?" for i in range(n)]
    texts = []
    for told, first in (("Be cheerful.", 0), ("Be gloomy.", n)):
        chats = [Chat(question, told) for question in questions]
        texts += [reply.text for reply in model.generate(chats, SAMPLING, seeds=range(first, first + n)).replies]
    return [Chat(question) for question in questions] * 2, texts, np.arange(2 * n) < n


def propensities(model, steerings, n=20, layer=7):
    """S of each steering, by question [steering question], and the planted slope of S for each gap of the layer."""
    chats, texts, high = rollouts(model, n)
    means = token_means(model.score(chats, texts, steerings=[(), *steerings]).logp)
    found = propensity(means[1:] - means[0], high, np.tile(np.arange(n), 2))
    return found, model.propensity_slope(texts[:n], texts[n:], layer=layer)
