"""The crossed held-out reading against a slow one written on activations, and the laws it keeps."""

from dataclasses import replace

import numpy as np
import pytest
from drawn_designs import DESIGNS, crossed_design, designs, draw, loose_design, replies_design, seeds
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import roc_auc_score

from personascope import crossed as crossed_module
from personascope.crossed import MOST_PAIR_FOLDS, Folds, crossed_folds, held_out_scores, inner_reading, is_crossed
from personascope.directions import gram
from personascope.errors import ContrastError
from personascope.separation import Design


def slow_scores(x, design, folds):
    """Row by row, straight on the activations."""
    scores = np.zeros(len(x))
    for i in range(len(x)):
        above, below = [], []
        for j in range(len(x)):
            if folds.trains[folds.cell[i], folds.cell[j]]:
                (above if design.high[j] else below).append(x[j])
        above, below = np.mean(above, axis=0), np.mean(below, axis=0)
        unit = (above - below) / np.linalg.norm(above - below)
        scores[i] = (x[i] - (above + below) / 2) @ unit
    return scores


@designs
def test_gram_form_equals_the_slow_reading(design):
    x = draw(design)
    folds = crossed_folds(design, seed=1)
    found = held_out_scores(gram(x)[0], design.high[None], folds)[0]
    np.testing.assert_allclose(found, slow_scores(x[:, 0], design, folds), atol=1e-9)


@pytest.mark.parametrize("at_once", [1, 10**9])
def test_many_labellings_at_once_equal_one_by_one(monkeypatch, at_once):
    design = DESIGNS["crossed"]
    x, folds = draw(design), crossed_folds(design, seed=1)
    labels = np.random.default_rng(0).random((7, len(design.high))) < 0.4
    monkeypatch.setattr(crossed_module, "_MOST_NUMBERS_AT_ONCE", at_once)
    found = held_out_scores(gram(x)[0], labels, folds)
    for label, row in zip(labels, found, strict=True):
        np.testing.assert_allclose(row, slow_scores(x[:, 0], replace(design, high=label), folds), atol=1e-9)


@designs
def test_no_row_is_scored_by_its_own_pair_or_question(design):
    folds = crossed_folds(design, seed=3)
    one_pair = len(set(design.pair)) == 1
    for i in range(len(design.high)):
        train = folds.trains[folds.cell[i]][folds.cell]
        assert train.any()
        assert design.question[i] not in design.question[train]
        assert one_pair or design.pair[i] not in design.pair[train]


def test_crossed_folds_leave_nothing_else_out():
    design = crossed_design(8, 20)
    folds = crossed_folds(design, seed=0)
    assert len(folds.trains) == 32
    assert set(np.bincount(folds.cell)) == {10}
    assert (folds.trains.sum(axis=1) == 7 * 3).all()


def test_replies_leave_one_domain_out():
    folds = crossed_folds(replies_design(8, 3), seed=0)
    np.testing.assert_array_equal(folds.trains, ~np.eye(8, dtype=bool))
    assert not is_crossed(replies_design(8, 3))
    assert is_crossed(crossed_design(2, 2))


def test_many_pairs_are_held_out_several_at_a_time():
    folds = crossed_folds(replies_design(37, 2), seed=0)
    assert len(folds.trains) == MOST_PAIR_FOLDS


@pytest.mark.parametrize(("n_high", "n_low", "n_folds"), [(2, 2, 2), (5, 5, 3), (10, 10, 4), (50, 9, 4), (3, 50, 3)])
def test_folds_of_loose_texts_have_both_poles(n_high, n_low, n_folds):
    design = loose_design(n_high, n_low)
    folds = crossed_folds(design, seed=0)
    assert len(folds.trains) == n_folds
    for c in range(n_folds):
        assert design.high[folds.cell == c].any()
        assert not design.high[folds.cell == c].all()


def test_folds_follow_the_seed():
    design = crossed_design(4, 12)
    same = [crossed_folds(design, seed=s).cell for s in (1, 1, 2)]
    assert (same[0] == same[1]).all()
    assert (same[0] != same[2]).any()


def test_a_fold_without_a_pole_to_train_on_is_refused():
    design = Design(np.array([True, True, False, False]), np.array([0, 0, 1, 1]), np.array([0, 1, 0, 1]))
    with pytest.raises(ContrastError, match="leaves no high texts") as caught:
        crossed_folds(design, seed=0)
    assert "more questions" in caught.value.hint


@settings(max_examples=20, deadline=None)
@given(seeds)
def test_scores_ignore_shift_and_rotation_and_follow_rows(seed):
    design = DESIGNS["crossed"]
    random = np.random.default_rng(seed)
    x, folds = draw(design, seed=seed), crossed_folds(design, seed=seed)
    plain = held_out_scores(gram(x)[0], design.high[None], folds)[0]
    rotation, _ = np.linalg.qr(random.normal(size=(9, 9)))
    moved = held_out_scores(gram(x @ rotation + random.normal(size=9) * 10)[0], design.high[None], folds)[0]
    np.testing.assert_allclose(moved, plain, atol=1e-8)
    order = random.permutation(len(x))
    shuffled = held_out_scores(gram(x[order])[0], design.high[None, order], Folds(folds.cell[order], folds.trains))[0]
    np.testing.assert_allclose(shuffled, plain[order], atol=1e-8)


@settings(max_examples=20, deadline=None)
@given(seeds, st.floats(0.01, 100))
def test_scores_turn_with_the_poles_and_scale_with_the_activations(seed, scale):
    design = DESIGNS["crossed"]
    x, folds = draw(design, seed=seed), crossed_folds(design, seed=seed)
    plain = held_out_scores(gram(x)[0], design.high[None], folds)[0]
    np.testing.assert_allclose(held_out_scores(gram(x)[0], ~design.high[None], folds)[0], -plain, atol=1e-8)
    scaled = held_out_scores(gram(x * scale)[0], design.high[None], folds)[0]
    np.testing.assert_allclose(scaled, plain * scale, rtol=1e-6, atol=1e-8 * scale)


def test_a_fold_whose_poles_coincide_scores_zero():
    design = crossed_design(2, 2)
    x = np.ones((8, 1, 3))
    assert (held_out_scores(gram(x)[0], design.high[None], crossed_folds(design, seed=0)) == 0).all()


@pytest.mark.parametrize("name", ["crossed", "one pair", "replies", "loose"])
def test_inner_reading_never_sees_the_outer_rows(name):
    design = DESIGNS[name]
    x, folds = draw(design), crossed_folds(design, seed=1)
    inner = inner_reading(gram(x)[0], design.high, folds)
    for c in range(len(folds.trains)):
        used = folds.trains[c][folds.cell]
        ids, cell = np.unique(folds.cell[used], return_inverse=True)
        part = Folds(cell, folds.trains[np.ix_(ids, ids)])
        inside = Design(design.high[used], design.pair[used], design.question[used])
        scores = slow_scores(x[used, 0], inside, part)
        assert inner.auc[c] == pytest.approx(roc_auc_score(inside.high, scores))
        above, below = scores[inside.high], scores[~inside.high]
        squares = ((above - above.mean()) ** 2).sum() + ((below - below.mean()) ** 2).sum()
        assert inner.scale[c] == pytest.approx(np.sqrt(squares / len(scores)))
        assert inner.cohens_d[c] == pytest.approx((above.mean() - below.mean()) / inner.scale[c])


def test_inner_reading_of_two_question_folds_leaves_out_the_pair_only():
    design = crossed_design(4, 2)
    inner = inner_reading(gram(draw(design, trait=9.0))[0], design.high, crossed_folds(design, seed=0))
    assert (inner.auc > 0.9).all()


def test_inner_reading_is_nan_where_nothing_is_left():
    design = crossed_design(1, 2)
    inner = inner_reading(gram(draw(design))[0], design.high, crossed_folds(design, seed=0))
    assert np.isnan(inner.auc).all()
