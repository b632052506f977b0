"""Sampling by inverse transform draws from the softmax; a row's noise is its own."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from personascope.errors import ModelError
from personascope.models.decoding import choose, uniforms


def test_sampling_draws_from_the_softmax():
    logits = torch.tensor([[0.0, 1.0, -1.0, 2.0, -torch.inf]]).repeat(20_000, 1)
    uniform = torch.from_numpy(np.random.default_rng(0).random(20_000, dtype=np.float32))
    drawn = torch.bincount(choose(logits, uniform, 0.7), minlength=5) / 20_000
    expected = torch.softmax(logits[0] / 0.7, -1)
    assert drawn[4] == 0
    torch.testing.assert_close(drawn, expected, atol=0.012, rtol=0)


@given(st.integers(0, 2**31), st.floats(0.1, 5.0))
@settings(max_examples=30, deadline=None)
def test_a_rows_token_does_not_depend_on_its_neighbours(seed, temperature):
    random = torch.Generator().manual_seed(seed)
    logits, uniform = torch.randn(5, 40, generator=random), torch.rand(5, generator=random)
    together = choose(logits.clone(), uniform, temperature)
    apart = [choose(logits[i : i + 1].clone(), uniform[i : i + 1], temperature).item() for i in range(5)]
    assert together.tolist() == apart


def test_noise_of_zero_and_almost_one_stay_inside_and_off_impossible_tokens():
    logits = torch.tensor([[-torch.inf, 0.0, 0.0, -torch.inf]]).repeat(2, 1)
    assert choose(logits, torch.tensor([0.0, 1 - 2**-24]), 1.0).tolist() == [1, 2]


def test_temperature_zero_takes_the_likeliest():
    assert choose(torch.tensor([[0.0, 3.0, 1.0]]), torch.tensor([0.99]), 0.0).tolist() == [1]


@pytest.mark.parametrize("temperature", [0.0, 1.0])
@pytest.mark.parametrize("bad", [torch.nan, torch.inf])
def test_logits_that_are_not_finite_are_an_error(bad, temperature):
    with pytest.raises(ModelError, match="not finite"):
        choose(torch.tensor([[0.0, bad, 1.0]]), torch.tensor([0.5]), temperature)


def test_noise_is_the_rows_own_and_lasts():
    first, again = uniforms([3, 4], 8), uniforms([4, 3], 12)
    np.testing.assert_array_equal(first[0], again[1][:8])
    assert not np.array_equal(first[0], first[1])
