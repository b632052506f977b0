"""The comparison on the real default model: a copy is the same, an adapter is not."""

import shutil

import numpy as np
import pytest
import tiny_adapters

from personascope.comparing import compare
from personascope.comparing_persona import Plan, persona
from personascope.comparing_words import verdict
from personascope.models import default_model
from personascope.models.default_model import default_model_source
from personascope.models.opening import open_model, open_tuned
from personascope.prompts import Protocol
from personascope.questionnaire.item_files import load_items
from personascope.questionnaire.items import at_most
from personascope.traits import load_trait

pytestmark = pytest.mark.slow

SMALL = Protocol("small", pairs=3, questions=4, repeats=1, max_new_tokens=8)


def quiet(_what, _total):
    return lambda _done: None


@pytest.fixture(scope="module")
def plan(tmp_path_factory):
    traits = tuple(load_trait(name) for name in ("extraversion", "evil"))
    return Plan(traits, SMALL, at_most(load_items("own"), 1), tmp_path_factory.mktemp("compared"), 0)


@pytest.fixture(scope="module")
def base():
    return open_model("smollm2-135m", precision="float32")


@pytest.fixture(scope="module")
def known(base, plan):
    return persona(base, plan, reader=base, own_vectors=True, progress=quiet)


def test_a_byte_identical_copy_is_reported_as_unchanged(base, known, plan, tmp_path):
    copy = shutil.copytree(default_model_source(), tmp_path / "tuned")
    found = compare(base, known, open_tuned(base, str(copy), precision="float32"), plan, progress=quiet)
    assert found.identical
    assert verdict(found)[0].startswith("Nothing differs between smollm2-135m and ")
    assert all(np.allclose(one.cosine, 1) for one in found.cosines.values())


def test_an_adapter_is_compared_on_the_base_s_own_weights(base, known, plan, tmp_path):
    tuned = open_tuned(base, tiny_adapters.saved_for(base.loaded.model, tmp_path / "lora", default_model.HUB_NAME))
    found = compare(base, known, tuned, plan, progress=quiet)
    assert not found.identical
    assert set(found.shifts) == {"replies", "text", "prompt"}
    assert any(abs(one.shift.value) > 0 for one in found.shifts["prompt"].values())
    again = persona(base, plan, reader=base, own_vectors=False, progress=quiet).spoken
    assert [one.text for one in again.replies] == [one.text for one in known.spoken.replies]
