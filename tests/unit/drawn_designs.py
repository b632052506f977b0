"""Designs of every kind, and activations drawn for them."""

import numpy as np
import pytest
from hypothesis import strategies as st

from personascope.separation import Design

seeds = st.integers(0, 10_000)


def crossed_design(n_pairs, n_questions, repeats=1):
    pair, question, high, _ = (
        a.ravel()
        for a in np.meshgrid(
            np.arange(n_pairs), np.arange(n_questions), [True, False], np.arange(repeats), indexing="ij"
        )
    )
    return Design(high.astype(bool), pair.astype(np.int64), question.astype(np.int64))


def replies_design(n_domains, per_domain):
    crossed = crossed_design(n_domains, per_domain)
    return Design(crossed.high, crossed.pair, crossed.pair * per_domain + crossed.question)


def loose_design(n_high, n_low):
    n = n_high + n_low
    return Design(np.arange(n) < n_high, np.zeros(n, dtype=np.int64), np.arange(n, dtype=np.int64))


DESIGNS = {
    "crossed": crossed_design(4, 6),
    "crossed with repeats": crossed_design(3, 4, repeats=3),
    "two by two": crossed_design(2, 2),
    "one pair": crossed_design(1, 7),
    "replies": replies_design(8, 3),
    "many domains": replies_design(13, 2),
    "many pairs": crossed_design(12, 2),
    "loose": loose_design(11, 14),
}


designs = pytest.mark.parametrize("design", DESIGNS.values(), ids=DESIGNS.keys())


def draw(design, *, trait=1.0, width=9, n_layers=1, seed=0):
    random = np.random.default_rng(seed)
    x = random.normal(size=(len(design.high), n_layers, width))
    x[:, :, 0] += np.where(design.high, trait / 2, -trait / 2)[:, None]
    return x + 3.0
