"""The worked example trains what it says: on a tiny model, in seconds."""

import re
import runpy
from pathlib import Path

import numpy as np
import pytest
import tiny_adapters

from personascope.models.opening import open_model, open_tuned
from personascope.models.protocols import Chat
from personascope.traits import load_trait

EXAMPLE = Path(__file__).parents[1] / "examples" / "finetune_persona" / "train.py"


@pytest.fixture(scope="module")
def example():
    return runpy.run_path(str(EXAMPLE))


@pytest.fixture
def base(tmp_path):
    return tiny_adapters.saved_base(tmp_path / "base")


def preference(engine):
    """How much likelier than the low one the model makes each high reply of the trait, nats per token."""
    replies = load_trait("extraversion").replies
    chats = [Chat(reply.question) for reply in replies]
    high, low = (
        np.nanmean(engine.score(chats, [getattr(reply, pole) for reply in replies], steerings=[()]).logp[0], axis=-1)
        for pole in ("high", "low")
    )
    return float((high - low).mean())


@pytest.mark.parametrize("pole", ["high", "low"])
def test_the_adapter_comes_to_prefer_the_wanted_replies(example, base, tmp_path, capsys, pole):
    folder = tmp_path / "tuned"
    wanted = ["--model", base, "--pole", pole, "--epochs", "3", "--learning-rate", "3e-2", "--save-dir", str(folder)]
    example["main"](wanted)
    assert f"Next: personascope compare {base} {folder}" in capsys.readouterr().out
    plain = open_model(base)
    before = preference(plain)
    moved = preference(open_tuned(plain, str(folder))) - before
    assert moved > 0.01 if pole == "high" else moved < -0.01


def test_imitating_makes_the_replies_likelier(example, base, tmp_path, capsys):
    shared = ["--model", base, "--method", "imitate", "--learning-rate", "3e-2", "--epochs", "4"]
    example["main"]([*shared, "--save-dir", str(tmp_path / "tuned")])
    first, last = map(float, re.findall(r"(\d+\.\d+) in the", capsys.readouterr().out))
    assert last < first
