"""The numbers of a reading against textbook ones, and the whole table of a planted trait."""

import math

import numpy as np
import pytest
from drawn_designs import DESIGNS, crossed_design, designs, draw, seeds
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import roc_auc_score

from personascope.crossed import crossed_folds
from personascope.directions import effective_dimension, gram, spread, spread_of_related
from personascope.errors import ActivationError, ContrastError
from personascope.reading import candidate_positions, fixed_position, separate
from personascope.separation import Design, auc, cohens_d, grade

scores_and_poles = st.tuples(seeds, st.integers(2, 9), st.integers(2, 9), st.booleans())


@settings(max_examples=40, deadline=None)
@given(scores_and_poles)
def test_auc_is_sklearns(made):
    seed, n_high, n_low, tied = made
    scores = np.random.default_rng(seed).normal(size=n_high + n_low)
    scores = np.round(scores) if tied else scores
    high = np.arange(n_high + n_low) < n_high
    assert auc(scores, high) == pytest.approx(roc_auc_score(high, scores))
    assert auc(scores, ~high) == pytest.approx(1 - auc(scores, high))
    assert auc(np.exp(scores), high) == pytest.approx(auc(scores, high))
    assert auc(np.stack([scores, -scores]), np.stack([high, high]))[1] == pytest.approx(1 - auc(scores, high))


def test_auc_without_a_pole_is_nan():
    assert np.isnan(auc(np.arange(3.0), np.ones(3, dtype=bool)))


def test_cohens_d_is_the_textbook_one():
    above, below = np.array([1.0, 2.0, 4.0]), np.array([0.0, 1.0, 1.5, 2.0])
    pooled = np.sqrt((2 * above.var(ddof=1) + 3 * below.var(ddof=1)) / 5)
    expected = (above.mean() - below.mean()) / pooled * (1 - 3 / (4 * 7 - 9))
    scores = np.concatenate([above, below])
    assert cohens_d(scores, np.arange(7) < 3) == pytest.approx(expected)
    assert cohens_d(scores, np.arange(7) >= 3) == pytest.approx(-expected)
    assert cohens_d(np.ones(4), np.arange(4) < 2) == 0.0
    assert math.isfinite(cohens_d(np.array([1.0, 1.0, 0.0, 0.0]), np.arange(4) < 2))


def test_grades_are_strict():
    assert [grade(e) for e in (0.81, 0.8, 0.71, 0.7, 0.61, 0.6)] == [
        "excellent", "good", "good", "moderate", "moderate", "poor",
    ]  # fmt: skip


def test_candidates_lie_in_the_middle_of_the_model():
    assert candidate_positions(range(30), 30) == list(range(10, 24))
    assert candidate_positions([0, 1], 30) == [0, 1]
    assert candidate_positions([0, 15, 29], 30) == [1]


def test_fixed_layer_is_nearest_to_depth_three_fifths():
    assert fixed_position(range(30), 30) == 17
    assert fixed_position([2, 15, 19, 20], 30) == 1
    assert fixed_position([2, 14, 19, 20], 30) == 2
    assert fixed_position([19, 15], 30) == 1


def separated(design=DESIGNS["crossed"], *, n_layers=2, trait=3.0, texts=None, seed=0, **changes):
    x = draw(design, trait=trait, n_layers=n_layers, seed=seed)
    return separate(x, design, layers=range(n_layers), n_model_layers=n_layers, texts=texts, seed=seed, **changes)


def test_separation_tells_a_planted_trait():
    design = crossed_design(8, 6)
    x = draw(design, trait=0.0, n_layers=10)
    x[:, 6, 0] += np.where(design.high, 3.0, 0.0)
    said = separate(
        x, design, layers=range(10), n_model_layers=10, texts=["word " * (1 + i % 5) for i in range(96)], seed=0
    )
    assert said.chosen_layer == 6
    assert said.nested_layers == ((6, len(crossed_folds(design, seed=0).trains)),)
    assert said.nested_auc.low > 0.8
    assert said.p == 1 / 128
    assert said.n_relabellings == 128
    assert said.exhaustive
    assert said.fixed_layer == 5
    assert said.fixed_auc == said.readings[5].auc
    assert (said.n_high, said.n_low, said.n_pairs, said.n_questions) == (48, 48, 8, 6)
    assert set(said.baselines) == {"reply length", "bag of words", "random direction"}
    assert set(said.advantages) == {"reply length", "bag of words"}
    for name, ahead in said.advantages.items():
        assert ahead.value == pytest.approx(said.nested_auc.value - said.baselines[name].value)
        assert 0 < ahead.low < ahead.value < ahead.high
    assert set(said.readers) == {"difference of means", "shrinkage LDA", "logistic regression"}
    assert said.readers["difference of means"] == said.readings[6].auc
    reading = said.readings[6]
    assert auc(said.held_out_scores, design.high) == pytest.approx(reading.auc.value)
    assert reading.separation == pytest.approx(reading.proj_high_mean - reading.proj_low_mean)
    assert reading.separation == pytest.approx(3.0, abs=0.4)
    assert reading.vector_magnitude == pytest.approx(3.0, abs=0.4)
    assert reading.relative_norm == pytest.approx(reading.vector_magnitude / np.linalg.norm(x[:, 6], axis=1).mean())
    assert reading.top_dimension_energy > 0.9
    assert reading.reliability > 0.95
    assert reading.pair_cosine_min <= reading.pair_cosine_mean <= 1
    assert reading.in_sample_auc >= reading.auc.value
    assert 0.5 < reading.in_sample_null < 1
    assert 1 <= reading.effective_dimension <= 9
    assert reading.proj_high_std == pytest.approx(said.held_out_scores[design.high].std(ddof=1))
    assert 0.5 < reading.null_auc_95 < 1
    assert reading.p <= reading.p_max


def test_every_number_of_every_layer_is_there():
    said = separated(crossed_design(6, 4), trait=1.5)
    for reading in said.readings:
        for name, value in vars(reading).items():
            numbers = vars(value).values() if hasattr(value, "low") else [value]
            assert all(math.isfinite(v) for v in numbers), name


def test_separation_is_seeded():
    assert separated().readings == separated().readings


def test_headline_p_is_corrected_for_the_layers_looked_at():
    design = crossed_design(6, 4)
    x = draw(design, trait=0.4, n_layers=4)
    said = separate(x, design, layers=range(4), n_model_layers=100, texts=None, seed=0)
    best = max(said.readings, key=lambda reading: reading.auc.value)
    assert said.chosen_layer == best.layer
    assert said.p == best.p_max > best.p


@pytest.mark.parametrize("name", ["crossed", "one pair", "replies", "loose"])
def test_effective_dimension_is_of_samples_that_share_nothing(name):
    design = DESIGNS[name]
    x = draw(design, width=60) * np.linspace(0.1, 2, 60)
    said = separate(x, design, layers=[0], n_model_layers=1, texts=None, seed=0)
    related = design.question[:, None] == design.question
    if name != "one pair" and name != "loose":
        related |= design.pair[:, None] == design.pair
    apart = spread_of_related(gram(x)[0], design.high, related)
    expected = spread(gram(x)[0], design.high) if name == "loose" else apart
    found = said.readings[0].effective_dimension
    assert found == pytest.approx(effective_dimension(*expected, width=60))
    assert 1 < found < 60


def test_nested_choice_ignores_the_scale_of_layers():
    design = crossed_design(6, 8)
    x = draw(design, trait=1.5, n_layers=2)
    plain = separate(x, design, layers=[0, 1], n_model_layers=20, texts=None, seed=0)
    assert len(plain.nested_layers) == 2
    grown = x * np.array([1.0, 1000.0])[:, None]
    again = separate(grown, design, layers=[0, 1], n_model_layers=20, texts=None, seed=0)
    assert again.nested_auc.value == pytest.approx(plain.nested_auc.value)
    assert again.nested_layers == plain.nested_layers


def test_equal_layers_leave_the_shallower_one_chosen():
    design = DESIGNS["crossed"]
    x = np.repeat(draw(design), 3, axis=1)
    said = separate(x, design, layers=[7, 4, 5], n_model_layers=100, texts=None, seed=0)
    assert said.chosen_layer == 4
    assert said.nested_layers == ((4, len(crossed_folds(design, seed=0).trains)),)


def test_two_questions_under_one_pair_fall_back_to_the_fixed_layer():
    said = separated(crossed_design(1, 2), n_layers=5)
    assert said.nested_layers == ((2, 2),)
    assert math.isnan(said.readings[0].pair_cosine_mean)
    assert math.isnan(said.readings[0].pair_cosine_min)


@designs
def test_every_design_can_be_read(design):
    said = separated(design, texts=[f"text {i % 3}" for i in range(len(design.high))])
    assert len(said.readings) == 2
    assert 0 <= said.nested_auc.value <= 1
    if math.isfinite(said.nested_auc.low):
        assert 0 <= said.nested_auc.low <= said.nested_auc.value <= said.nested_auc.high <= 1


def test_intervals_of_few_pairs_are_not_available():
    said = separated(crossed_design(5, 6), texts=[f"text {i % 3}" for i in range(60)])
    for estimate in (said.nested_auc, said.fixed_auc, *said.advantages.values(), *said.readers.values()):
        assert math.isfinite(estimate.value)
        assert math.isnan(estimate.low) and math.isnan(estimate.high)
    assert math.isfinite(said.baselines["random direction"].low)


@pytest.mark.parametrize(("n_pairs", "there"), [(2, False), (4, False), (5, True), (8, True)])
def test_the_null_line_needs_ten_relabellings(n_pairs, there):
    said = separated(crossed_design(n_pairs, 6), trait=9.0)
    for reading in said.readings:
        assert math.isfinite(reading.null_auc_95) == there
        assert not there or 0.5 < reading.null_auc_95 < 0.8


def test_without_texts_nothing_is_compared():
    assert set(separated().baselines) == {"random direction"}
    assert separated().advantages == {}


def test_rows_that_are_not_finite_are_named():
    design = DESIGNS["crossed"]
    x = draw(design)
    x[[3, 20], 0, 1] = [np.nan, np.inf]
    with pytest.raises(ActivationError, match=r"2 of 48 rows are not finite: 3, 20$"):
        separate(x, design, layers=[0], n_model_layers=1, texts=None, seed=0)
    x[:] = np.nan
    with pytest.raises(ActivationError, match=r"0, 1, 2, 3, 4, 5, 6, 7, \.\.\.$"):
        separate(x, design, layers=[0], n_model_layers=1, texts=None, seed=0)


def test_poles_that_coincide_are_refused():
    x = np.repeat(np.random.default_rng(0).normal(size=(24, 2, 4)), 2, axis=0)
    with pytest.raises(ActivationError, match="layer 11 has the same mean"):
        separate(x, DESIGNS["crossed"], layers=[11, 12], n_model_layers=20, texts=None, seed=0)


@pytest.mark.parametrize("layers", [[0], [0, 0], []])
def test_layers_must_name_the_axis(layers):
    with pytest.raises(ActivationError, match="2 layers"):
        separate(
            draw(DESIGNS["crossed"], n_layers=2),
            DESIGNS["crossed"],
            layers=layers,
            n_model_layers=4,
            texts=None,
            seed=0,
        )


def test_designs_without_a_contrast_are_refused():
    one_sided = Design(np.ones(6, dtype=bool), np.zeros(6, dtype=np.int64), np.arange(6))
    empty = Design(np.zeros(0, dtype=bool), np.zeros(0, dtype=np.int64), np.zeros(0, dtype=np.int64))
    for design in (one_sided, empty):
        with pytest.raises(ContrastError, match="make no contrast"):
            separate(np.zeros((len(design.high), 1, 3)), design, layers=[0], n_model_layers=1, texts=None, seed=0)
    one_question = crossed_design(3, 1)
    with pytest.raises(ContrastError, match="1 question"):
        separated(one_question)
    with pytest.raises(ContrastError, match="5 texts do not match"):
        separated(texts=["a"] * 5)
