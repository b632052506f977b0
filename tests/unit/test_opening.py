"""A model is proven when it is opened, and what cannot be trusted is refused."""

import json
import logging

import pytest
import tiny_models
import torch
import transformers

from personascope.errors import ModelError
from personascope.models import loading
from personascope.models.opening import engine_for, open_model
from personascope.models.precision import PRECISIONS


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


@pytest.mark.parametrize(
    ("name", "found", "hint"),
    [
        ("./nofolder", "no such folder", "check the name"),
        ("models/of/mine", "no such folder", "check the name"),
        ("nofolder/", "no such folder", "check the name"),
        (__file__, "a file, not a folder", "config.json"),
        ("smollm", "the Hub cannot be reached", "did you mean smollm2-135m? "),
        ("SmolLM2-135", "the Hub cannot be reached", "did you mean smollm2-135m? "),
        ("huggingfacetb/smollm2-135m", "the Hub cannot be reached", "HuggingFaceTB/SmolLM2-135M-Instruct? "),
        ("nosuch/model", "the Hub cannot be reached", "check the name"),
    ],
)
def test_a_name_that_leads_nowhere_is_told_why_and_what_to_do(monkeypatch, capfd, name, found, hint):
    monkeypatch.setattr(loading, "hub_answers", lambda: False)
    with pytest.raises(ModelError, match=found) as caught:
        open_model(name)
    assert hint in caught.value.hint and "\n" not in str(caught.value)
    assert capfd.readouterr() == ("", "")


def test_a_model_too_large_for_memory_is_told_what_to_do(monkeypatch, tmp_path):
    def refuse(*_args, **_settings):
        raise torch.OutOfMemoryError

    monkeypatch.setattr(loading.AutoModelForCausalLM, "from_pretrained", refuse)
    with pytest.raises(ModelError, match="does not fit into memory") as caught:
        open_model(saved(tmp_path / "m"))
    assert "--quantize 8bit" in caught.value.hint and "--layers" in caught.value.hint


class Heard(logging.Handler):
    """Keeps what is logged."""

    def __init__(self):
        super().__init__()
        self.records = []

    def emit(self, record):
        self.records.append(record.getMessage())


def test_the_libraries_say_nothing_where_a_model_cannot_be_had(monkeypatch):
    def refuse(*_args, **_settings):
        logging.getLogger("huggingface_hub.utils._http").warning("Retrying in 8s [Retry 5/5].")
        logging.getLogger("transformers.modeling_utils").error("LOAD REPORT")
        raise OSError("nosuch/model is not a valid model identifier\nIf this is a private repository, ...")

    monkeypatch.setattr(loading, "hub_answers", lambda: True)
    monkeypatch.setattr(loading.AutoConfig, "from_pretrained", refuse)
    heard, loggers = Heard(), [logging.getLogger(name) for name in ("transformers", "huggingface_hub")]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        monkeypatch.setattr(logger, "handlers", [heard])
    with pytest.raises(ModelError, match=r"is not a valid model identifier$"):
        open_model("nosuch/model")
    assert heard.records == []
    assert levels == [logger.level for logger in loggers]


def test_a_hub_that_does_not_answer_is_asked_once(monkeypatch):
    """The libraries would try for two minutes."""
    monkeypatch.setattr(loading.huggingface_hub.constants, "ENDPOINT", "http://127.0.0.1:9")
    assert not loading.hub_answers()


def damaged(folder, change):
    saved(folder)
    config = json.loads((folder / "config.json").read_text())
    if change == "cut short":
        weights = (folder / "model.safetensors").read_bytes()
        (folder / "model.safetensors").write_bytes(weights[:-100])
    else:
        (folder / "config.json").write_text(json.dumps(config | change))
    return str(folder)


@pytest.mark.parametrize(
    ("change", "found"),
    [
        ("cut short", "not fully covered"),
        ({"num_hidden_layers": 5}, "9 weights are missing or of another shape, as model.layers.4"),
        ({"intermediate_size": 64}, "12 weights are missing or of another shape, as model.layers.0.mlp"),
        ({"model_type": "nonesuch"}, "nonesuch"),
    ],
)
def test_a_damaged_model_is_refused_in_one_line(tmp_path, capfd, change, found):
    """Weights that are not in the files would be drawn at random, and every number with them."""
    folder = damaged(tmp_path, change)
    capfd.readouterr()
    with pytest.raises(ModelError, match=found) as caught:
        open_model(folder)
    assert "folder must hold" in caught.value.hint
    assert capfd.readouterr() == ("", "")
