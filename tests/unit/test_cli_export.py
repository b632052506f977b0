"""`export --bake` from the command line: what is written, told and refused."""

import json

import numpy as np
import pytest
import tiny_adapters
import tiny_models
import tiny_vectors
import torch

from personascope.artifacts import sha256
from personascope.cli.app import app
from personascope.cli.app import run as run_command
from personascope.models.opening import open_model
from personascope.models.protocols import Chat, Steering


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A folder with a tiny model and two vectors files of it."""
    folder = tmp_path_factory.mktemp("made")
    model = tiny_vectors.model_folder("llama", folder / "tiny")
    spec = open_model(str(model)).spec
    tiny_vectors.written(folder / "evil_vectors.npz", spec, safe=(-0.2, 0.3))
    tiny_vectors.written(folder / "openness_vectors.npz", spec, trait="openness", seed=3, layer=2)
    return folder


@pytest.fixture
def export(made, capsys):
    """Runs `export` on the evil vectors; the exit code and what was printed."""

    def export(*words, model=None, vectors="evil_vectors.npz"):
        with pytest.raises(SystemExit) as stop:
            run_command(
                lambda: app(["export", str(made / vectors), "--bake", str(model or made / "tiny"), *map(str, words)])
            )
        shown = capsys.readouterr()
        return stop.value.code or 0, shown.out, shown.err

    return export


def test_the_folder_says_what_was_baked(export, made, tmp_path):
    code, out, _ = export("--strength", "0.5", "--also", f"{made / 'openness_vectors.npz'}:-1", "-o", tmp_path / "out")
    told = json.loads((tmp_path / "out" / "personascope_baked.json").read_text())
    card = (tmp_path / "out" / "README.md").read_text()
    evil, openness = told["baked"]
    assert code == 0 and "written" in out
    assert (evil["trait"], evil["sha256"]) == ("evil", sha256(made / "evil_vectors.npz"))
    assert [(push["layer"], push["strength"]) for push in evil["pushes"]] == [(1, 0.5)]
    assert [(push["layer"], push["strength"]) for push in openness["pushes"]] == [(2, -1.0)]
    assert told["kind"] == "baked model" and told["base"]["weights"] != told["model"]["weights"]
    assert told["model"] == {**told["model"], "name": str(tmp_path / "out"), "n_layers": 4}
    opened = open_model(str(tmp_path / "out"), precision="float32").spec
    assert told["model"] == vars(opened)
    for said in (f"base_model: {made / 'tiny'}", "| evil | 1 | +0.50 |", evil["sha256"][:12], told["date"]):
        assert said in card, said
    assert told["agreement"]["n_same_replies"] == told["agreement"]["n_prompts"] == 3


def test_a_dose_beyond_the_safe_range_is_told(export, tmp_path):
    _, inside, _ = export("--unit", "norm", "--strength", "0.25", "-o", tmp_path / "in")
    _, outside, _ = export("--unit", "norm", "--strength", "0.35", "--json", "-o", tmp_path / "out")
    _, elsewhere, _ = export("--layer", "2", "-o", tmp_path / "elsewhere")
    assert "acts on prompts too" in inside and "outside" not in inside
    told = json.loads(outside)
    assert any("outside its safe range" in one for one in told["cautions"])
    assert "outside its safe range" in (tmp_path / "out" / "README.md").read_text()
    assert "it was measured at layer 1 alone" in elsewhere


def test_all_layers_add_what_is_new(export, made, tmp_path):
    code, _, _ = export("--layer", "all", "--strength", "1", "-o", tmp_path / "out")
    told = json.loads((tmp_path / "out" / "personascope_baked.json").read_text())
    assert code == 0 and [push["layer"] for push in told["baked"][0]["pushes"]] == [0, 1, 2, 3]
    weights = open_model(str(tmp_path / "out"), precision="float32").loaded.model.model.layers
    total = sum(layer.mlp.down_proj.bias.detach().numpy() for layer in weights)
    with np.load(made / "evil_vectors.npz") as arrays:
        np.testing.assert_allclose(total, arrays["layer_3_vector"], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--strength", "0"], "strength 0 bakes nothing"),
        (["--strength", "lots"], "is no strength"),
        (["--also", "other.npz"], "has no strength"),
        (["--also", "missing.npz:1"], "there is no file"),
        (["--layer", "9"], "no layer 9"),
        (["--unit", "miles"], "no unit"),
    ],
)
def test_mistakes_are_told_and_leave_nothing(words, said, export, tmp_path):
    code, _, err = export(*words, "-o", tmp_path / "out")
    assert code == 2 and said in err and "hint:" in err and not (tmp_path / "out").exists()


def test_toy_and_full_folder_are_refused(export, tmp_path):
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "mine").write_text("mine")
    for words, model, said in (
        (["-o", tmp_path / "out"], "toy", "no weights"),
        (["-o", tmp_path / "full"], None, "not empty"),
    ):
        code, _, err = export(*words, model=model)
        assert code == 2 and said in err, err
    assert not (tmp_path / "out").exists() and [path.name for path in (tmp_path / "full").iterdir()] == ["mine"]


def test_vectors_of_another_shape_are_refused(export, made, tmp_path):
    spec = open_model(str(made / "tiny")).spec
    shallow = type(spec)(**{**vars(spec), "n_layers": 3})
    path = tiny_vectors.written(tmp_path / "x_vectors.npz", shallow)
    code, _, err = export("-o", tmp_path / "out", vectors=path)
    assert code == 2 and "3 layers" in err and not (tmp_path / "out").exists()


def test_an_adapter_is_merged_and_baked(export, made, tmp_path):
    adapter = tiny_adapters.saved_adapter(tmp_path / "adapter", str(made / "tiny"))
    worn = open_model(adapter, precision="float32")
    path = tiny_vectors.written(tmp_path / "evil_vectors.npz", worn.spec)
    code, out, err = export("--strength", "0.5", "-o", tmp_path / "out", model=adapter, vectors=path)
    assert code == 0 and "weights" not in out, err
    with np.load(path) as arrays:
        steered = (Steering({1: arrays["layer_1_vector"]}, 0.5, "add", "all"),)
    chats, layers = [Chat("Hello there"), Chat("What now?")], range(4)
    found = open_model(str(tmp_path / "out"), precision="float32").residuals(chats, ["so", "it was"], layers=layers)
    expected = worn.residuals(chats, ["so", "it was"], layers=layers, steering=[steered] * 2)
    bare = open_model(str(made / "tiny"), precision="float32").residuals(
        chats, ["so", "it was"], layers=layers, steering=[steered] * 2
    )
    np.testing.assert_allclose(found.reply_mean, expected.reply_mean, rtol=1e-4, atol=1e-4)
    assert np.abs(bare.reply_mean - expected.reply_mean).max() > 0.01


def test_an_adapter_with_modules_of_its_own_is_refused(export, made, tmp_path):
    adapter = tiny_adapters.saved_adapter(tmp_path / "adapter", str(made / "tiny"), modules_to_save=["lm_head"])
    code, _, err = export("-o", tmp_path / "out", model=adapter)
    assert code == 2 and "whole modules" in err and "merge_and_unload" in err and not (tmp_path / "out").exists()


def test_vectors_of_other_weights_are_refused_unless_told(export, made, tmp_path):
    other = tmp_path / "tiny"
    tiny_models.model("llama", 1).save_pretrained(other)
    tiny_models.tokenizer().save_pretrained(other)
    code, _, err = export("-o", tmp_path / "out", model=other)
    assert code == 2 and "with the weights" in err and "--anyway" in err and not (tmp_path / "out").exists()
    assert export("--anyway", "-o", tmp_path / "out", model=other)[0] == 0


def test_vectors_made_in_another_precision_are_known_by_the_weights_in_it(export, made, tmp_path):
    narrow = tiny_vectors.model_folder("llama", tmp_path / "narrow", torch.bfloat16)
    other = tmp_path / "other"
    tiny_models.model("llama", 1).to(torch.bfloat16).save_pretrained(other)
    tiny_models.tokenizer().save_pretrained(other)
    path = tiny_vectors.written(tmp_path / "evil_vectors.npz", open_model(str(narrow), precision="bfloat16").spec)
    assert export("-o", tmp_path / "one", model=narrow, vectors=path)[0] == 0
    code, _, err = export("-o", tmp_path / "two", model=other, vectors=path)
    assert code == 2 and "with the weights" in err
