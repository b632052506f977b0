"""Options that share the run of their question score as when each is run alone, plain and steered."""

import numpy as np
import pytest
from slow_steering import logp_and_kl

from personascope.models.protocols import Chat, Steering
from personascope.questionnaire.asking import WAYS, answers_of, keys_of, likelihoods, present
from personascope.questionnaire.items import situational
from personascope.questionnaire.scoring import p_high
from personascope.questionnaire.steered_scores import Asked, statement_gradients

ITEMS = [
    situational("t", "one", "The red dog sees a cat. What now?", ("run on", "the big red"), ("dog", "a cat sat on")),
    situational("t", "two", "A cat sat.", ("red", "see it run"), ("the dog", "on")),
    situational("u", "three", "Big red dog!", ("a dog", "cat"), ("sat on a cat", "it")),
]


def pushes(engine):
    numbers = np.random.default_rng(3)
    vector = numbers.standard_normal(engine.spec.width).astype(np.float32)
    vector *= 0.3 * engine.residuals([Chat("red dog")], ["a cat sat"], layers=[1]).token_norm[0, 0]
    vector /= np.linalg.norm(vector) / 1.0
    return [(), (Steering({1: vector}, 2.0),), (Steering({1: vector}, -1.0, positions="all"),)]


def test_shared_runs_score_as_separate_ones(name, engine):
    if name.startswith(("toy", "vllm")):
        pytest.skip("the slow oracle steers models of transformers")
    for way in WAYS:
        shown = present(ITEMS, way, raw=not engine.spec.template)
        steerings = pushes(engine)
        found = likelihoods(engine, shown, steerings=steerings)
        for at, steered in enumerate(steerings):
            for sample in range(0, len(shown.chats), 5):
                alone, _ = logp_and_kl(engine, shown.chats[sample], shown.replies[sample], steered)
                expected = alone.sum() if shown.labelled else alone.mean()
                assert abs(found.logp[at, sample] - expected) <= 1e-4 * max(1.0, abs(expected)), (way, at, sample)


def test_the_gradient_of_a_score_is_its_finite_difference(name, engine):
    if name.startswith("vllm"):
        pytest.skip("vLLM has no gradients")
    for way in ("text", "letters"):
        shown = present(ITEMS, way, raw=not engine.spec.template)
        push = pushes(engine)[1][0].directions[1]
        step = 1e-2
        steerings = [(), (Steering({1: push}, step),), (Steering({1: push}, -step),)]
        found = likelihoods(engine, shown, steerings=steerings)
        asked = Asked(tuple(ITEMS), shown, found, (0.0, step, -step))
        high = p_high(answers_of(shown, found), keys_of(ITEMS))
        expected = (high[1] - high[2]) / (2 * step)
        gradient = statement_gradients(engine, asked, "t", [1])
        np.testing.assert_allclose(gradient[:, 0] @ push.astype(np.float64), expected[:2], atol=2e-4, rtol=0.05)
