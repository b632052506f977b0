"""Which traits' texts a direction reads: planted overlaps are found, a trait's own texts are held out."""

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from personascope.separation import Design
from personascope.transfer import TraitTexts, own_scores, transfer, unit_directions, valence_control

WIDTH = 40


def design(n_pairs=6, n_questions=8):
    axes = np.meshgrid(np.arange(n_pairs), np.arange(n_questions), [True, False], indexing="ij")
    pair, question, high = (a.ravel() for a in axes)
    return Design(high.astype(bool), pair.astype(np.int64), question.astype(np.int64))


def texts(seed, **gaps):
    """Noise, with gaps between the poles along the first coordinates: x, y and z."""
    made = design()
    x = np.random.default_rng(seed).normal(size=(len(made.high), WIDTH))
    for at, axis in enumerate("xyz"):
        x[:, at] += gaps.get(axis, 0.0) * np.where(made.high, 0.5, -0.5)
    return TraitTexts(x, made)


TRAITS = {"one": texts(0, x=4), "other": texts(1, y=4), "both": texts(2, x=3, y=3), "against": texts(3, x=-4)}


def test_a_direction_reads_what_it_shares_and_nothing_else():
    found = transfer(TRAITS, seed=0)
    rate = {(a, b): found.auc[i, j] for i, a in enumerate(found.names) for j, b in enumerate(found.names)}
    assert found.names == tuple(TRAITS)
    assert rate["one", "both"] > 0.9 and rate["both", "one"] > 0.9
    assert rate["one", "against"] < 0.1 and rate["against", "one"] < 0.1
    assert rate["one", "other"] == pytest.approx(0.5, abs=0.15)


def test_off_the_diagonal_is_the_plain_reading_and_on_it_the_held_out_one():
    found = transfer(TRAITS, seed=0)
    one, other = TRAITS["one"], TRAITS["other"]
    direction = one.activations[one.design.high].mean(axis=0) - one.activations[~one.design.high].mean(axis=0)
    assert found.auc[0, 1] == pytest.approx(roc_auc_score(other.design.high, other.activations @ direction))
    held_out = own_scores(one.activations, one.design, seed=0)
    assert found.auc[0, 0] == pytest.approx(roc_auc_score(one.design.high, held_out))


def test_noise_does_not_read_itself():
    noise = {str(seed): texts(seed) for seed in range(12)}
    found = transfer(noise, seed=0)
    assert np.diag(found.auc).mean() == pytest.approx(0.5, abs=0.06)
    assert found.auc.mean() == pytest.approx(0.5, abs=0.03)


def test_cosines_are_of_unit_directions():
    found = transfer(TRAITS, seed=0)
    directions = unit_directions(TRAITS)
    np.testing.assert_allclose(np.linalg.norm(directions, axis=1), 1)
    np.testing.assert_allclose(found.cosine, directions @ directions.T)
    assert found.cosine[0, 3] < -0.7


def test_valence_that_others_share_is_found_and_taken_out():
    """x is good and bad; y and z are the traits' own."""
    shared = {"kind": texts(0, x=4), "cruel": texts(1, x=-4, y=3), "gentle": texts(2, x=4, z=3)}
    signs = {"kind": 1, "cruel": -1, "gentle": 1}
    told = valence_control(shared, "cruel", signs=signs, seed=0)
    assert told.cosine < -0.6
    assert told.valence.value < 0.1
    assert told.without.value < told.whole.value
    assert told.without.low > 0.7


def test_a_trait_that_is_valence_and_nothing_else_has_nothing_left():
    shared = {"kind": texts(0, x=4), "cruel": texts(1, x=-9), "gentle": texts(2, x=9)}
    told = valence_control(shared, "kind", signs={"cruel": -1, "gentle": 1}, seed=0)
    assert told.valence.value > 0.9
    assert told.whole.value > 0.9
    assert told.without.value == pytest.approx(0.5, abs=0.2)


def test_a_trait_has_no_part_in_the_valence_it_is_held_against():
    """Its own texts may say anything: the valence of the others stays."""
    signs = dict.fromkeys(TRAITS, 1)
    plain = valence_control(TRAITS, "one", signs=signs, seed=0)
    outside = {name: sign for name, sign in signs.items() if name != "one"}
    assert valence_control(TRAITS, "one", signs=outside, seed=0) == plain
