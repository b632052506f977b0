"""Weights in few bits: what is asked for is checked, told in the spec, and reads like the model that it is of."""

import importlib.util
import logging

import numpy as np
import pytest
import tiny_adapters
import tiny_models
import torch
import transformers

from personascope.errors import ModelError
from personascope.models import quantising
from personascope.models.opening import open_engine, open_model
from personascope.models.protocols import Chat
from personascope.models.quantising import compute_in, precision_told, quantized_loading

CPU = torch.device("cpu")


@pytest.fixture
def base(tmp_path):
    """A tiny model whose layers are whole blocks of 4-bit weights."""
    config = transformers.LlamaConfig(**tiny_models._LLAMA | {"hidden_size": 64, "intermediate_size": 128})
    model = tiny_models.filled(config, seed=0)
    model.save_pretrained(tmp_path / "base")
    tiny_models.tokenizer().save_pretrained(tmp_path / "base")
    return model, str(tmp_path / "base")


@pytest.mark.parametrize("bits", ["8bit", "4bit"])
def test_a_quantised_model_is_opened_proven_and_told_apart(base, bits):
    _, folder = base
    whole, few = open_model(folder, precision="float32"), open_model(folder, precision="float32", quantize=bits)
    assert few.spec.dtype == f"{bits}-float32" and few.spec.weights != whole.spec.weights
    chats, replies = [Chat("who are you?", "be kind")], ["a friend"]
    ours, theirs = (engine.residuals(chats, replies, layers=[0]).reply_mean[0, 0] for engine in (few, whole))
    assert 0 < np.linalg.norm(ours - theirs) / np.linalg.norm(theirs) < {"8bit": 0.05, "4bit": 0.3}[bits]
    held = [sum(w.numel() * w.element_size() for w in e.loaded.model.parameters()) for e in (few, whole)]
    assert held[0] < 0.6 * held[1]


def test_an_adapter_goes_on_a_quantised_base(base, tmp_path):
    tuned = open_model(tiny_adapters.saved_for(base[0], tmp_path / "a", base[1]), precision="float32", quantize="4bit")
    assert tuned.spec.dtype == "4bit-float32" and tuned.spec.adapter


class FourBits(torch.nn.Linear):
    """A layer as bitsandbytes makes it where the processor has instructions for bfloat16."""

    support_avx512bf16_for_cpu = True


def test_four_bits_compute_in_what_was_asked_for():
    fits, narrow = FourBits(64, 32), FourBits(64, 24)
    for dtype, kept in ((torch.bfloat16, (True, False)), (torch.float32, (False, False))):
        for layer in (fits, narrow):
            layer.support_avx512bf16_for_cpu = True
        compute_in(torch.nn.Sequential(fits, narrow), dtype)
        assert (fits.support_avx512bf16_for_cpu, narrow.support_avx512bf16_for_cpu) == kept


def test_four_bits_that_would_be_read_wrongly_are_refused():
    with pytest.raises(ModelError, match="96 inputs, no multiple of 64") as caught:
        compute_in(torch.nn.Sequential(FourBits(96, 32)), torch.float32)
    assert "--quantize 8bit" in caught.value.hint


def test_what_cannot_be_quantised_is_told(monkeypatch):
    with pytest.raises(ModelError, match="no quantisation '3bit'") as caught:
        open_engine("toy", None, quantize="3bit")
    assert caught.value.hint == "choose one of 8bit, 4bit"
    with pytest.raises(ModelError, match="no weights to quantise"):
        open_engine("toy", None, quantize="8bit")
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == "bitsandbytes" else object())
    with pytest.raises(ModelError, match="8bit need bitsandbytes") as caught:
        quantized_loading("8bit", torch.float32, CPU)
    assert "personascope[quantize]" in caught.value.hint
    assert quantized_loading(None, torch.float32, CPU) == {}


def test_bitsandbytes_does_not_talk_at_every_product():
    quantized_loading("8bit", torch.float32, CPU)
    assert not logging.getLogger(quantising._TALKS_WHILE_RUNNING).isEnabledFor(logging.WARNING)


def test_a_plain_model_is_told_by_its_precision():
    assert precision_told(torch.nn.Linear(2, 2, dtype=torch.bfloat16)) == "bfloat16"
