"""A model is proven when it is opened, and what cannot be trusted is refused."""

import pytest
import tiny_models
import torch
import transformers

from personascope.errors import ModelError
from personascope.models.opening import PRECISIONS, engine_for, open_model


def saved(folder, architecture="llama", seed=0):
    tiny_models.model(architecture, seed).save_pretrained(folder)
    tiny_models.tokenizer().save_pretrained(folder)
    return str(folder)


def test_a_folder_opens_and_tells_its_weights_apart_from_other_training(tmp_path):
    one, two = (open_model(saved(tmp_path / str(seed), seed=seed), precision="float32") for seed in (0, 1))
    again = open_model(str(tmp_path / "0"), precision="float32")
    assert one.spec == again.spec
    assert one.spec.weights != two.spec.weights


@pytest.mark.parametrize("precision", PRECISIONS)
def test_every_precision_opens(tmp_path, precision):
    engine = open_model(saved(tmp_path / "m"), precision=precision)
    assert engine.spec.dtype in ("float32", "bfloat16", "float16")


def test_a_model_that_ignores_positions_is_refused():
    """Padding would shift its positions: numbers that depend on the batch, without any error."""
    model = tiny_models.model("gpt2")
    plain = model.forward
    model.forward = lambda **inputs: plain(**{k: v for k, v in inputs.items() if k != "position_ids"})
    with pytest.raises(ModelError, match="reads differently in a batch"):
        engine_for(model, tiny_models.tokenizer(), name="tiny")


def test_a_recurrent_model_is_refused_kindly():
    config = transformers.Lfm2Config(
        vocab_size=tiny_models.N_TOKENS, hidden_size=32, intermediate_size=48, num_hidden_layers=4,
        num_attention_heads=4, num_key_value_heads=2, full_attn_idxs=[1, 3],
    )  # fmt: skip
    model = transformers.AutoModelForCausalLM.from_config(config, dtype=torch.float32).eval()
    with pytest.raises(ModelError) as caught:
        engine_for(model, tiny_models.tokenizer(), name="tiny")
    assert caught.value.hint


@pytest.mark.parametrize("name", ["empty", "no weights"])
def test_a_folder_without_a_model_is_told(tmp_path, name):
    if name == "no weights":
        saved(tmp_path)
        (tmp_path / "model.safetensors").unlink()
    with pytest.raises(ModelError, match="could not be opened") as caught:
        open_model(str(tmp_path))
    assert "folder" in caught.value.hint
