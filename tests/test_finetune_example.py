"""The worked example trains what it says: on a tiny model, in seconds."""

import re
import runpy
from pathlib import Path

import numpy as np
import pytest
import tiny_adapters
import yaml

from personascope.models.opening import open_model, open_tuned
from personascope.models.protocols import Chat
from personascope.traits import load_trait
from personascope.traits.catalogue import trait_file

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


@pytest.mark.parametrize(
    ("wanted", "told"),
    [
        (["--trait", "extravertion"], "extraversion"),
        (["--trait", "{folder}/mute.yaml"], "no matched replies"),
        (["--model", "{folder}/nowhere"], "nowhere"),
        (["--epochs", "0"], "0 is less than 1"),
    ],
)
def test_what_cannot_be_trained_is_told_before_anything_is_saved(example, base, tmp_path, capsys, wanted, told):
    words = yaml.safe_load(trait_file("evil")) | {"name": "mute", "replies": []}
    (tmp_path / "mute.yaml").write_text(yaml.safe_dump(words), encoding="utf-8")
    asked = [word.format(folder=tmp_path) for word in wanted]
    with pytest.raises(SystemExit) as end:
        example["main"](["--model", base, "--save-dir", str(tmp_path / "tuned"), *asked])
    assert told in f"{end.value} {capsys.readouterr().err}"
    assert not (tmp_path / "tuned").exists()
