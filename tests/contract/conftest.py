"""Every engine in turn, and how two of its readings are compared."""

import numpy as np
import pytest
from engines import ENGINES, RELATIVE_TOLERANCE
from steered_rows import close, edit, mixed, plain, vector

__all__ = ["close", "edit", "engine", "mixed", "name", "plain", "same", "vector"]


@pytest.fixture(scope="module", params=ENGINES)
def name(request):
    return request.param


@pytest.fixture(scope="module")
def engine(name):
    return ENGINES[name]()


@pytest.fixture(scope="module")
def same(name):
    """Compares two readings row by row and layer by layer, to the tolerance of the engine."""

    def compare(found, expected):
        np.testing.assert_array_equal(found.n_tokens, expected.n_tokens)
        np.testing.assert_allclose(found.token_norm, expected.token_norm, rtol=RELATIVE_TOLERANCE[name])
        for ours, theirs in ((found.reply_mean, expected.reply_mean), (found.prompt_last, expected.prompt_last)):
            assert ours.shape == theirs.shape
            np.testing.assert_array_equal(np.isnan(ours), np.isnan(theirs))
            distance = np.linalg.norm(np.nan_to_num(ours - theirs), axis=-1)
            assert np.all(distance <= RELATIVE_TOLERANCE[name] * np.linalg.norm(np.nan_to_num(theirs), axis=-1))

    return compare
