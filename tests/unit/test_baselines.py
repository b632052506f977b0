"""Baselines: what they read, and that they are held out."""

import math

import numpy as np
import pytest
from sklearn.feature_extraction.text import TfidfTransformer

from personascope.baselines import bag_of_words_gram, random_direction, text_scores, words
from personascope.crossed import crossed_folds
from personascope.separation import Design
from personascope.uncertainty import auc_estimate, draw_again


def crossed_design(n_pairs=6, n_questions=8):
    axes = np.meshgrid(np.arange(n_pairs), np.arange(n_questions), [True, False], indexing="ij")
    pair, question, high = (a.ravel() for a in axes)
    return Design(high.astype(bool), pair.astype(np.int64), question.astype(np.int64))


def read(texts, design):
    draws = draw_again(design, seed=0, n_draws=200)
    scores = text_scores(texts, design.high, crossed_folds(design, seed=0))
    return {name: auc_estimate(own, design.high, draws) for name, own in scores.items()}


def test_words_are_lower_cased_and_keep_apostrophes():
    assert words("I'm FINE, señor: don’t-ask 2 times!") == ["i'm", "fine", "señor", "don’t", "ask", "2", "times"]
    assert words(" ...") == []


def test_bag_of_words_is_sklearns_weighting_of_logged_counts():
    texts = ["the cat the dog", "a dog", "", "the the the end", "a cat sat"]
    vocabulary = sorted({w for t in texts for w in t.split()})
    counts = np.array([[t.split().count(w) for w in vocabulary] for t in texts], dtype=float)
    idf = TfidfTransformer().fit(counts).idf_
    bags = np.log1p(counts) * idf
    lengths = np.linalg.norm(bags, axis=1, keepdims=True)
    bags = np.divide(bags, lengths, out=np.zeros_like(bags), where=lengths > 0)
    np.testing.assert_allclose(bag_of_words_gram(texts), bags @ bags.T, atol=1e-12)


def test_no_words_at_all_are_read_as_nothing():
    assert (bag_of_words_gram(["", "..."]) == 0).all()


def test_a_word_of_one_pole_is_found_and_length_is_not():
    design = crossed_design()
    random = np.random.default_rng(0)
    filler = [" ".join(random.choice(list("abcdefghij"), size=9)) for _ in design.high]
    texts = [f"{'joy' if high else 'gloom'} {rest}" for high, rest in zip(design.high, filler, strict=True)]
    found = read(texts, design)
    assert found["bag of words"].value == 1
    assert math.isnan(found["bag of words"].low)
    assert found["reply length"].value == 0.5


def test_longer_replies_are_found_either_way_round():
    design = crossed_design()
    for longer in (design.high, ~design.high):
        random = np.random.default_rng(1)
        texts = ["w " * int(n) for n in random.integers(5, 15, size=len(longer)) + 12 * longer]
        assert read(texts, design)["reply length"].value > 0.95


def test_a_word_that_marks_one_pair_only_does_not_help():
    design = crossed_design(4, 8)
    texts = [f"mark{p}{'h' if high else 'l'} same" for p, high in zip(design.pair, design.high, strict=True)]
    assert read(texts, design)["bag of words"].value == pytest.approx(0.5, abs=0.1)


def test_random_directions_find_a_gap_along_all_and_none_in_noise():
    design = crossed_design(8, 20)
    random = np.random.default_rng(0)
    folds = crossed_folds(design, seed=0)
    noise = random.normal(size=(320, 30))
    nothing = random_direction(noise, design.high, folds=folds, seed=0)
    assert nothing.low < nothing.value < nothing.high
    assert nothing.value == pytest.approx(0.5, abs=0.04)
    wide = noise + 3 * np.where(design.high, 1, -1)[:, None] * random.normal(size=30)
    assert random_direction(wide, design.high, folds=folds, seed=0).value > 0.8
    assert random_direction(wide, design.high, folds=folds, seed=0) == random_direction(
        wide, design.high, folds=folds, seed=0
    )
