"""A baked checkpoint is the hooked model in plain transformers; what cannot be one is refused, and leaves nothing."""

import copy
import json

import numpy as np
import pytest
import tiny_models
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from personascope.errors import ArtifactError, ModelError, SteeringError
from personascope.models import bake_proof, baked_checkpoint
from personascope.models.baked_checkpoint import write_baked
from personascope.models.baking import bake, biases_of, make_room, narrowest_dtype
from personascope.models.opening import engine_for
from personascope.models.protocols import Chat, Condition, Generation, Reply, Steering

WITH_BIAS = ("llama", "gpt2", "gpt_neox", "opt")
WITHOUT = {"qwen2": "has no bias", "mistral": "has no bias", "phi3": "has no bias"}
WITHOUT |= {"gemma2": "follows", "gemma3": "follows", "mixtral": "follows"}
CHATS = [Chat("Hello there"), Chat("What now?", "Be kind")]
IDS = torch.tensor([[7 + 5 * at % 60 for at in range(24)]])
rng = np.random.default_rng(1)
ONE, TWO = (rng.standard_normal(tiny_models.WIDTH).astype(np.float32) for _ in range(2))
STEERED = (Steering({1: ONE, 3: TWO}, 0.7, "add", "all"), Steering({1: TWO}, -0.4, "add", "all"))


def baked(engine, folder, steered=STEERED):
    return write_baked(engine, steered, folder, chats=CHATS, describe=lambda _baked, _folder: None)


def plain(folder):
    return AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32).eval()


def hooked_logits(architecture, steered=STEERED):
    with torch.no_grad(), tiny_models.engine(architecture).steered(steered) as model:
        return model(input_ids=IDS).logits


@pytest.mark.parametrize("architecture", WITH_BIAS)
def test_plain_transformers_says_what_the_hook_says(architecture, tmp_path):
    done = baked(tiny_models.engine(architecture), tmp_path / "out")
    model, expected = plain(tmp_path / "out"), hooked_logits(architecture)
    with torch.no_grad():
        found = model(input_ids=IDS).logits
    assert (found - expected).abs().max() < 1e-5 < 0.1 < (expected - hooked_logits(architecture, ())).abs().max()
    assert done.agreement.n_same_replies == 2 and done.agreement.n_same_tokens == done.agreement.n_tokens
    assert done.agreement.logit_gap < 1e-5 < 0.1 < done.agreement.effect
    assert done.spec.name == str(tmp_path / "out") and done.dtype == "float32"


@pytest.mark.parametrize("architecture", ["llama", "gpt2"])
def test_greedy_replies_of_plain_generate_are_the_hooks(architecture, tmp_path):
    baked(tiny_models.engine(architecture), tmp_path / "out")
    settings = {"do_sample": False, "max_new_tokens": 20, "attention_mask": torch.ones_like(IDS)}
    with tiny_models.engine(architecture).steered(STEERED) as model:
        expected = model.generate(IDS, **settings)
    unsteered = tiny_models.model(architecture).generate(IDS, **settings)
    assert torch.equal(plain(tmp_path / "out").generate(IDS, **settings), expected)
    assert not torch.equal(unsteered, expected)


@pytest.mark.parametrize("architecture", WITHOUT)
def test_a_block_whose_bias_is_not_the_hook_is_refused(architecture, tmp_path):
    with pytest.raises(ModelError, match=WITHOUT[architecture]) as refusal:
        baked(tiny_models.engine(architecture), tmp_path / "out")
    assert "personascope steer" in refusal.value.hint and list(tmp_path.iterdir()) == []


def test_twice_the_strength_is_twice_the_bias_and_all_else_stays(tmp_path):
    before = dict(tiny_models.model("llama").named_parameters())
    for name, strength in (("one", 0.5), ("two", 1.0)):
        baked(tiny_models.engine("llama"), tmp_path / name, (Steering({2: ONE}, strength, "add", "all"),))
    one, two = (dict(plain(tmp_path / name).named_parameters()) for name in ("one", "two"))
    where = "model.layers.2.mlp.down_proj.bias"
    np.testing.assert_allclose(two[where].detach(), ONE, rtol=1e-6)
    assert torch.equal(2 * one[where], two[where])
    assert all(torch.equal(two[name], weight) for name, weight in before.items())
    assert all(not two[name].any() for name in two.keys() - before.keys() - {where})


def test_a_bias_that_was_there_stays_under_the_vector(tmp_path):
    model = tiny_models.model("gpt2")
    with torch.no_grad():
        model.transformer.h[2].mlp.c_proj.bias.copy_(torch.from_numpy(TWO))
    engine = engine_for(model, tiny_models.tokenizer(), name="tiny-gpt2")
    baked(engine, tmp_path / "out", (Steering({2: ONE}, 1.0, "add", "all"),))
    np.testing.assert_allclose(plain(tmp_path / "out").transformer.h[2].mlp.c_proj.bias.detach(), ONE + TWO, rtol=1e-6)


def test_the_folder_is_a_whole_model(tmp_path):
    engine = tiny_models.engine("llama")
    engine.loaded.model.generation_config.max_new_tokens = 17
    baked(engine, tmp_path / "out")
    tokenizer = AutoTokenizer.from_pretrained(tmp_path / "out")
    assert tokenizer.chat_template == tiny_models.TEMPLATE
    assert tokenizer("Hello?").input_ids == tiny_models.tokenizer()("Hello?").input_ids
    assert json.loads((tmp_path / "out" / "generation_config.json").read_text())["max_new_tokens"] == 17
    assert json.loads((tmp_path / "out" / "config.json").read_text())["mlp_bias"] is True
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


def test_tied_weights_stay_tied(tmp_path):
    config = tiny_models.CONFIGS["llama"]()
    config.tie_word_embeddings = True
    torch.manual_seed(0)
    model = AutoModelForCausalLM.from_config(config, dtype=torch.float32).eval()
    baked(engine_for(model, tiny_models.tokenizer(), name="tied"), tmp_path / "out", STEERED)
    again = plain(tmp_path / "out")
    assert again.lm_head.weight.data_ptr() == again.model.embed_tokens.weight.data_ptr()


def test_the_file_has_the_precision_of_the_models_own_and_rounding_is_told(tmp_path):
    model = tiny_models.model("llama")
    with torch.no_grad():
        for weight in model.parameters():
            weight.copy_(weight.bfloat16())
    assert narrowest_dtype(model) == torch.bfloat16 and narrowest_dtype(tiny_models.model("llama")) == torch.float32
    assert narrowest_dtype(tiny_models.model("llama").to(torch.float16).to(torch.float32)) == torch.float16
    done = baked(engine_for(copy.deepcopy(model), tiny_models.tokenizer(), name="in-16-bits"), tmp_path / "out")
    kept = plain(tmp_path / "out")
    assert json.loads((tmp_path / "out" / "config.json").read_text())["dtype"] == done.dtype == "bfloat16"
    assert all(torch.equal(dict(kept.named_parameters())[name], weight) for name, weight in model.named_parameters())
    assert 0 < done.rounding < 2**-8 and done.agreement.logit_gap < 1e-5 < done.agreement.rounding < 0.05


def test_a_checkpoint_that_is_not_the_hook_is_refused_and_leaves_nothing(tmp_path, monkeypatch):
    monkeypatch.setattr(baked_checkpoint, "bake", lambda projections, added: None)
    with pytest.raises(ModelError, match="not the steered model"):
        baked(tiny_models.engine("llama"), tmp_path / "deep" / "out")
    assert list((tmp_path / "deep").iterdir()) == []


def test_a_vector_too_small_to_be_proven_is_refused(tmp_path):
    faint = (Steering({1: ONE}, 1e-6, "add", "all"),)
    with pytest.raises(ModelError, match="the vector moves them by") as refusal:
        baked(tiny_models.engine("llama"), tmp_path / "out", faint)
    assert "--strength" in refusal.value.hint and list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["file", "folder"])
def test_nothing_is_overwritten(name, tmp_path):
    (tmp_path / "folder").mkdir()
    for path in (tmp_path / "file", tmp_path / "folder" / "mine"):
        path.write_text("mine")
    with pytest.raises(ArtifactError, match="not empty"):
        baked(tiny_models.engine("llama"), tmp_path / name)
    assert (tmp_path / "file").read_text() == (tmp_path / "folder" / "mine").read_text() == "mine"


def test_an_empty_folder_is_filled(tmp_path):
    (tmp_path / "out").mkdir()
    baked(tiny_models.engine("llama"), tmp_path / "out")
    assert (tmp_path / "out" / "config.json").exists()


CONDITION = Condition(1, ONE / np.linalg.norm(ONE), 0.0)


@pytest.mark.parametrize(
    ("steered", "said"),
    [
        (Steering({1: ONE}, 1.0, "ablate", "all"), "mode ablate"),
        (Steering({1: ONE}, 1.0, "add", "reply"), "positions reply"),
        (Steering({1: ONE}, 1.0, "add", "all", condition=CONDITION), "no bias"),
        (Steering({1: ONE}, 0.0, "add", "all"), "strength 0"),
    ],
)
def test_what_no_bias_can_do_is_refused(steered, said):
    with pytest.raises(SteeringError, match=said):
        biases_of([steered])


def test_biases_are_sums_and_may_not_cancel():
    sums = biases_of(STEERED)
    np.testing.assert_allclose(sums[1], 0.7 * ONE - 0.4 * TWO, rtol=1e-5)
    np.testing.assert_allclose(sums[3], 0.7 * TWO, rtol=1e-6)
    with pytest.raises(SteeringError, match="cancel"):
        biases_of([Steering({1: ONE}, s, "add", "all") for s in (1.0, -1.0)])


def test_replies_that_part_without_a_tie_are_a_fault(monkeypatch):
    engine = tiny_models.engine("llama")
    told = bake_proof.expected(engine, CHATS, (), {1: ONE})
    projections = {1: engine.loaded.model.model.layers[1].mlp.down_proj}
    make_room(engine.loaded.model, projections)
    bake(projections, {1: ONE})
    assert bake_proof.compared(engine, told).n_same_replies == 2
    monkeypatch.setattr(engine, "generate", lambda *_, **__: Generation((Reply("x", 1, True),) * 2, None))
    with pytest.raises(ModelError, match="0 of 2 greedy replies"):
        bake_proof.compared(engine, told)
