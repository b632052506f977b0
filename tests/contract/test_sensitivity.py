"""The gradient that every engine gives is the slope of what it scores."""

import numpy as np
import pytest
from asking import CHATS, REPLIES, all_layers, read, score

from personascope.dose_response import token_means
from personascope.errors import LayerError, ModelError
from personascope.models.protocols import Steering

WEIGHTS = np.array([0.5, -1.0, 3.0, 0.25, -0.75], dtype=np.float32)


def sensitivity(engine, weights=WEIGHTS, **asked):
    return engine.sensitivity(CHATS, REPLIES, weights=weights, **({"layers": list(all_layers(engine))} | asked))


@pytest.fixture(scope="module")
def gradient(name, engine):
    if name.startswith("vllm"):
        pytest.skip("vLLM has no gradients")
    return sensitivity(engine)


def test_an_engine_without_gradients_says_which_has_them(name, engine):
    if not name.startswith("vllm"):
        pytest.skip("this engine has gradients")
    with pytest.raises(ModelError, match="gradients") as refused:
        sensitivity(engine)
    assert "--engine hf" in refused.value.hint


@pytest.mark.parametrize("most_tokens", [None, 2])
def test_its_product_with_a_direction_is_the_slope_of_the_scores(engine, name, most_tokens, gradient):
    if name == "hf-mixtral":
        pytest.skip("which experts run is a step of the stream: a gradient does not see it, a push may cross it")
    layers = [0, engine.spec.n_layers - 1]
    found = sensitivity(engine, layers=layers, most_tokens=most_tokens)
    assert found.shape == (2, engine.spec.width)
    assert found.dtype == np.float32
    norm = np.nanmean(read(engine).token_norm, axis=0)
    for at, layer in enumerate(layers):
        direction = np.random.default_rng(layer).standard_normal(engine.spec.width).astype(np.float32)
        direction *= 0.005 * norm[layer] / np.linalg.norm(direction)
        pushes = [(Steering({layer: direction}, sign),) for sign in (1.0, -1.0)]
        means = np.nan_to_num(token_means(score(engine, pushes, most_tokens=most_tokens).logp))
        assert found[at] @ direction == pytest.approx((means[0] - means[1]) @ WEIGHTS / 2, rel=0.03, abs=2e-5)


def test_it_is_linear_in_the_weights(engine, gradient):
    parts = [np.eye(len(CHATS), dtype=np.float32)[row] * WEIGHTS[row] for row in range(len(CHATS))]
    added = np.sum([sensitivity(engine, part) for part in parts], axis=0)
    np.testing.assert_allclose(added, gradient, atol=1e-4 * np.abs(gradient).max())


def test_a_reply_without_tokens_counts_nothing(engine, gradient):
    weights = WEIGHTS.copy()
    weights[REPLIES.index("")] = 0.0
    np.testing.assert_allclose(sensitivity(engine, weights), gradient, atol=1e-5 * np.abs(gradient).max())


def test_layers_come_in_the_order_asked_for(engine, gradient):
    np.testing.assert_allclose(sensitivity(engine, layers=[2, 0]), gradient[[2, 0]], atol=1e-4 * np.abs(gradient).max())


def test_a_layer_that_is_not_there_is_refused(engine, gradient):
    with pytest.raises(LayerError):
        sensitivity(engine, layers=[engine.spec.n_layers])
