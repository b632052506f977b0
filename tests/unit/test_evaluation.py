"""Finished vectors on texts that no choice has seen: only the evaluation texts are read, and nothing is fitted."""

import math
from dataclasses import replace

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from personascope.activations import Activations, design_of
from personascope.contrasts import from_rollouts
from personascope.errors import ActivationError, ContrastError, LayerError
from personascope.evaluation import MOST_TOKENS, evaluation_contrast, evaluation_seed, read_evaluation
from personascope.extraction import extract
from personascope.gathering import gather, row_seed
from personascope.models.protocols import Residuals
from personascope.models.toys import toy_for
from personascope.prompts import PROTOCOLS
from personascope.traits import load_trait
from personascope.traits.trait import Instructions, Questions

TRAIT = load_trait("openness")
QUICK, STANDARD = PROTOCOLS["quick"], PROTOCOLS["standard"]
LAYERS = [3, 7]


def quiet(_what, _total):
    return lambda _done: None


@pytest.fixture(scope="module")
def vectors(tmp_path_factory):
    stem = tmp_path_factory.mktemp("vectors") / "toy"
    contrast = from_rollouts(TRAIT, QUICK)
    return extract(toy_for(TRAIT), TRAIT, contrast, layers=LAYERS, seed=0, stem=stem, progress=quiet).vectors


@pytest.fixture(scope="module")
def gathered(tmp_path_factory):
    stem = tmp_path_factory.mktemp("texts") / "toy_openness_evaluation"
    contrast = evaluation_contrast(TRAIT, QUICK)
    return gather(toy_for(TRAIT), contrast, layers=LAYERS, seed=evaluation_seed(0), stem=stem, progress=quiet)


def changed(gathered, keep=None, **arrays):
    """The same texts with some rows or arrays changed."""
    residuals = replace(gathered.activations.residuals, **arrays)
    rollouts = gathered.rollouts
    if keep is not None:
        residuals = Residuals(*(getattr(residuals, name)[keep] for name in Residuals.__dataclass_fields__))
        rollouts = tuple(rollout for rollout, kept in zip(rollouts, keep, strict=True) if kept)
    return replace(gathered, rollouts=rollouts, activations=Activations(gathered.activations.layers, residuals))


@pytest.mark.parametrize("protocol", PROTOCOLS.values(), ids=PROTOCOLS.keys())
def test_all_evaluation_texts_and_no_others_are_asked(protocol):
    contrast = evaluation_contrast(TRAIT, protocol)
    chats = [row.chat for row in contrast.rows]
    assert len(set(chats)) == len(chats) == 3 * 20 * 2
    assert {chat.question for chat in chats} == set(TRAIT.questions.evaluate)
    pairs = TRAIT.instructions.evaluate
    assert {chat.instruction for chat in chats} == {text for pair in pairs for text in (pair.high, pair.low)}
    for row in contrast.rows:
        assert row.chat.instruction == getattr(pairs[row.pair], row.pole)
    assert contrast.source == "evaluation"
    assert contrast.sampling.max_new_tokens == min(MOST_TOKENS, protocol.max_new_tokens)


def test_no_reply_shares_its_noise_with_the_extraction():
    extraction = {row_seed(seed, row) for seed in (0, 1, 2) for row in range(400)}
    assert not extraction & {row_seed(evaluation_seed(seed), row) for seed in (0, 1, 2) for row in range(400)}


@pytest.mark.parametrize(
    "bare",
    [
        replace(TRAIT, instructions=Instructions(TRAIT.instructions.extract, ())),
        replace(TRAIT, questions=Questions(TRAIT.questions.extract, TRAIT.questions.evaluate[:1])),
    ],
    ids=["no pairs", "one question"],
)
def test_a_trait_without_evaluation_texts_is_refused(bare):
    with pytest.raises(ContrastError, match="to evaluate") as caught:
        evaluation_contrast(bare, STANDARD)
    assert "3 pairs and 20 questions" in caught.value.hint


def test_a_planted_trait_is_read_by_the_frozen_vector(vectors, gathered):
    found = read_evaluation(vectors, gathered, layer=7, seed=0)
    assert found.auc.value > 0.9
    assert 0.5 < found.auc.low < found.auc.value
    assert found.cohens_d.low > 1
    assert (found.layer, found.n_high, found.n_low, found.n_questions) == (7, 60, 60, 20)
    assert set(found.pair_aucs_from_0) == {0, 1, 2}


def test_nothing_is_fitted_and_nothing_folded(vectors, gathered):
    pooled, high = gathered.activations.at("reply_mean")[:, 0], design_of(gathered.rollouts).high
    projections = pooled.astype(np.float64) @ vectors.raw[0]
    found = read_evaluation(vectors, gathered, layer=3, seed=0)
    assert found.auc.value == pytest.approx(roc_auc_score(high, projections))
    for pair, rate in found.pair_aucs_from_0.items():
        rows = design_of(gathered.rollouts).pair == pair
        assert rate == pytest.approx(roc_auc_score(high[rows], projections[rows]))
    turned = read_evaluation(replace(vectors, raw=-vectors.raw), gathered, layer=3, seed=0)
    assert turned.auc.value == pytest.approx(1 - found.auc.value)
    assert turned.reply_length == found.reply_length


def test_reply_length_counts_words_and_knows_no_sign(vectors, gathered):
    longer = [replace(r, reply="word " * (9 if r.pole == "high" else 4)) for r in gathered.rollouts]
    assert read_evaluation(vectors, replace(gathered, rollouts=tuple(longer)), layer=7, seed=0).reply_length.value == 1
    shorter = [replace(r, reply="word " * (4 if r.pole == "high" else 9)) for r in gathered.rollouts]
    assert read_evaluation(vectors, replace(gathered, rollouts=tuple(shorter)), layer=7, seed=0).reply_length.value == 0


def test_empty_replies_go_with_their_partners(vectors, gathered):
    n_tokens = gathered.activations.residuals.n_tokens.copy()
    n_tokens[[0, 41]] = 0
    found = read_evaluation(vectors, changed(gathered, n_tokens=n_tokens), layer=7, seed=0)
    assert (found.n_high, found.n_low, found.n_questions) == (58, 58, 20)
    with pytest.raises(ContrastError, match="no question has a reply at both poles"):
        read_evaluation(vectors, changed(gathered, n_tokens=np.zeros_like(n_tokens)), layer=7, seed=0)


def test_five_questions_have_no_interval(vectors, gathered):
    few = changed(gathered, keep=design_of(gathered.rollouts).question < 5)
    found = read_evaluation(vectors, few, layer=7, seed=0)
    assert math.isfinite(found.auc.value) and math.isnan(found.auc.low)


def test_a_layer_that_was_not_read_is_named(vectors, gathered):
    with pytest.raises(LayerError, match="texts were read at layers 3 to 7, not at 5"):
        read_evaluation(vectors, gathered, layer=5, seed=0)
    fewer = replace(vectors, layers=(7,), raw=vectors.raw[1:])
    with pytest.raises(LayerError, match="vectors were read at layers 7 to 7, not at 3"):
        read_evaluation(fewer, gathered, layer=3, seed=0)


def test_vectors_of_another_width_are_refused(vectors, gathered):
    with pytest.raises(ActivationError, match="width"):
        read_evaluation(replace(vectors, raw=vectors.raw[:, :-1]), gathered, layer=3, seed=0)
