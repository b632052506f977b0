"""Measures of texts against loop-written oracles and their laws."""

import math
from itertools import permutations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from personascope.text_measures import TextMeasures, distinct_n, measure, n_words, repetition

few_letters = st.text(alphabet="aB ,'’_\n的か", max_size=40)
any_text = few_letters | st.text(max_size=40)
text_sets = st.lists(any_text, max_size=6)
sizes = st.integers(1, 5)
different_words = st.lists(st.from_regex(r"[a-z]{1,6}", fullmatch=True), unique=True, min_size=5, max_size=30)


def plain_grams(text, n):
    """For texts of words and single spaces alone."""
    tokens = text.split()
    return [tuple(tokens[start : start + n]) for start in range(len(tokens) - n + 1)]


@settings(max_examples=50, deadline=None)
@given(st.lists(st.lists(st.sampled_from("abcd"), max_size=20).map(" ".join), min_size=1, max_size=5), sizes)
def test_measures_are_the_loop_written_ones(texts, n):
    grams, distinct = [], []
    for text in texts:
        earlier, again = [], 0
        for gram in plain_grams(text, n):
            again += gram in earlier
            earlier.append(gram)
            grams.append(gram)
            if gram not in distinct:
                distinct.append(gram)
        assert repetition(text, n) == pytest.approx(again / len(earlier) if earlier else 0.0)
        assert n_words(text) == len(text.split())
    expected = len(distinct) / len(grams) if grams else math.nan
    assert distinct_n(texts, n) == pytest.approx(expected, nan_ok=True)


@settings(max_examples=100, deadline=None)
@given(text_sets, sizes)
def test_shares_lie_between_nothing_and_all(texts, n):
    distinct = distinct_n(texts, n)
    assert math.isnan(distinct) or 0 < distinct <= 1
    assert all(0 <= repetition(text, n) < 1 for text in texts)
    found = measure(texts)
    assert math.isnan(found.repetition) == math.isnan(found.words) == (not texts)


@settings(max_examples=50, deadline=None)
@given(different_words, sizes)
def test_different_words_are_all_distinct_and_never_repeat(words, n):
    text = " ".join(words)
    assert distinct_n([text], n) == 1
    assert repetition(text, n) == 0
    assert n_words(text) == len(words)


@settings(max_examples=100, deadline=None)
@given(st.data())
def test_the_order_of_texts_does_not_matter(data):
    texts = data.draw(text_sets)
    assert repr(measure(texts)) == repr(measure(data.draw(st.permutations(texts))))


def test_means_are_the_same_to_the_last_bit_in_any_order():
    stuck = ["a " * length for length in (5, 6, 7, 13)]
    assert len({measure(order) for order in permutations(stuck)}) == 1


@settings(max_examples=50, deadline=None)
@given(text_sets, sizes)
def test_saying_everything_twice_halves_what_is_distinct(texts, n):
    assert distinct_n([*texts, *texts], n) == pytest.approx(distinct_n(texts, n) / 2, nan_ok=True)
    assert measure([*texts, *texts]).repetition == pytest.approx(measure(texts).repetition, nan_ok=True)


def test_a_stuck_text_repeats():
    assert repetition("a a a a a a") == pytest.approx(2 / 3)
    assert repetition("the end of the end of the end of the end", 2) == pytest.approx(7 / 10)


@pytest.mark.parametrize("stuck", ["!" * 40, "的" * 40, "I am. " * 20, "no " * 40, "__" * 20])
def test_every_form_of_collapse_shows(stuck):
    assert repetition(stuck) > 0.9
    assert measure([stuck]).distinct_1 < 0.1


def test_n_grams_do_not_run_from_one_text_into_the_next():
    assert distinct_n(["a b", "a b"], 2) == 0.5
    assert math.isnan(distinct_n(["a", "b"], 2))


def test_case_does_not_make_a_word_new_but_punctuation_is_a_token():
    assert distinct_n(["Go go GO"], 1) == pytest.approx(1 / 3)
    assert distinct_n(["go, go."], 1) == pytest.approx(3 / 4)


@pytest.mark.parametrize(
    ("text", "expected"),
    [("", 0), (" ... !? ", 0), ("It doesn't rain; the 2 dogs don’t mind.", 8), ("天気です", 4)],
)
def test_words_are_counted_without_punctuation(text, expected):
    assert n_words(text) == expected


def test_no_texts_have_no_measures_and_empty_ones_have_no_words():
    assert all(math.isnan(value) for value in vars(measure([])).values())
    empty = measure(["", ""])
    assert (empty.repetition, empty.words) == (0.0, 0.0)
    assert math.isnan(empty.distinct_1) and math.isnan(empty.distinct_2)


def test_the_measures_of_a_small_set():
    found = measure(["The cat sat on the mat.", "The cat sat on the cat."])
    assert found == TextMeasures(distinct_1=6 / 14, distinct_2=7 / 12, repetition=0.0, words=6.0)
