"""Every sample is in one batch, batches keep the budget, and memory errors halve them."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from personascope.errors import ModelError
from personascope.models.batches import Row, beginnings, by_token_budget, layout, rows_with_prefixes, run_halving
from personascope.models.chat import Tokens

LENGTHS = st.lists(st.integers(1, 60), min_size=1, max_size=40)


def plain(lengths):
    return [Row(i, Tokens(list(range(n)), n)) for i, n in enumerate(lengths)]


@given(LENGTHS, st.integers(60, 400))
def test_batches_keep_the_budget_and_lose_no_row(lengths, budget):
    batches = list(by_token_budget(plain(lengths), budget))
    assert sorted(row.sample for batch in batches for row in batch) == list(range(len(lengths)))
    for batch in batches:
        assert len(batch) * max(row.own for row in batch) <= budget


@given(LENGTHS, st.integers(1, 30))
def test_a_layout_shows_every_token_once_at_its_position(lengths, shared):
    prefix = tuple(range(1000, 1000 + shared))
    samples = [Tokens([*prefix, *range(n)], shared + 1) for n in lengths]
    rows = rows_with_prefixes(samples, ["same"] * len(samples))
    laid = layout(rows, torch.device("cpu"))
    for i, row in enumerate(rows):
        run = laid.mask[i, laid.n_cached :].bool()
        n_run = int(run.sum())
        assert laid.ids[i][run].tolist() == row.tokens.ids[len(row.tokens.ids) - n_run :]
        assert laid.positions[i][run].tolist() == list(range(row.length - n_run, row.length))
        assert laid.cached[i] + n_run == row.length == int(laid.mask[i].sum())
        assert laid.cached[i] <= len(row.prefix)
        assert laid.column(i, row.length - 1) == laid.ids.shape[1] - 1


def test_a_prefix_ends_before_the_prompts_last_token():
    same = [Tokens(list(range(20)), 20)] * 3
    rows = rows_with_prefixes(same, [None] * 3)
    assert {row.prefix for row in rows} == {tuple(range(19))}


def test_short_or_single_prefixes_are_not_worth_it():
    samples = [Tokens(list(range(5)), 5), Tokens(list(range(5)), 5), Tokens(list(range(50)), 50)]
    assert all(not row.prefix for row in rows_with_prefixes(samples, ["a", "a", "b"]))


def test_each_text_begins_with_what_it_shares_with_its_nearest():
    stem, item = tuple(range(10)), tuple(range(10, 22))
    texts = [(*stem, *item, 100, 101), (*stem, *item, 200), (*stem, 300, 301)]
    assert beginnings(texts) == {texts[0]: (*stem, *item), texts[1]: (*stem, *item), texts[2]: stem}
    assert beginnings([stem, (*stem, 1), (*stem, 1, 2)]) == {stem: (), (*stem, 1): stem, (*stem, 1, 2): (*stem, 1)}
    assert beginnings([(*stem, 1), (7, 8)]) == {(*stem, 1): (), (7, 8): ()}


@given(st.lists(st.lists(st.integers(0, 2), min_size=1, max_size=40).map(tuple), max_size=8))
def test_a_beginning_is_shared_by_two_texts_and_leaves_a_token_to_run(texts):
    for text, start in beginnings(texts).items():
        assert text[: len(start)] == start and len(start) < len(text)
        assert not start or sum(other[: len(start)] == start for other in set(texts)) >= 2


def test_out_of_memory_halves_the_batch_until_it_fits():
    sizes, done = [], []

    def run(rows):
        sizes.append(len(rows))
        if len(rows) > 2:
            raise torch.OutOfMemoryError
        done.extend(row.sample for row in rows)

    run_halving(plain([3] * 7), run)
    assert done == list(range(7)) and max(sizes) == 7


def test_one_row_too_large_is_an_error_with_a_hint():
    def run(_rows):
        torch.empty(2**60)

    with pytest.raises(ModelError, match="one text of 3 tokens") as caught:
        run_halving(plain([3, 3]), run)
    assert all(told in caught.value.hint for told in ("halved by themselves", "--quantize 8bit", "fewer --layers"))


def test_other_errors_pass():
    def run(_rows):
        raise RuntimeError("a bug")

    with pytest.raises(RuntimeError, match="a bug"):
        run_halving(plain([3, 3]), run)
