"""Weights in few bits: what is asked for is checked, told in the spec, and reads like the model that it is of."""

import importlib.util
import logging

import numpy as np
import pytest
import tiny_adapters
import torch

from personascope.errors import ModelError
from personascope.models import quantising
from personascope.models.opening import open_engine, open_model
from personascope.models.protocols import Chat
from personascope.models.quantising import precision_told, quantized_loading

CPU = torch.device("cpu")


@pytest.mark.parametrize("bits", ["8bit", "4bit"])
def test_a_quantised_model_is_opened_proven_and_told_apart(tmp_path, bits):
    folder = tiny_adapters.saved_base(tmp_path / "base")
    whole, few = open_model(folder, precision="float32"), open_model(folder, precision="float32", quantize=bits)
    assert few.spec.dtype == f"{bits}-float32" and few.spec.weights != whole.spec.weights
    chats, replies = [Chat("who are you?", "be kind")], ["a friend"]
    ours, theirs = (engine.residuals(chats, replies, layers=[0]).reply_mean[0, 0] for engine in (few, whole))
    assert 0 < np.linalg.norm(ours - theirs) / np.linalg.norm(theirs) < {"8bit": 0.05, "4bit": 0.3}[bits]
    held = [sum(w.numel() * w.element_size() for w in e.loaded.model.parameters()) for e in (few, whole)]
    assert held[0] < 0.6 * held[1]


def test_an_adapter_goes_on_a_quantised_base(tmp_path):
    folder = tiny_adapters.saved_base(tmp_path / "base")
    tuned = open_model(tiny_adapters.saved_adapter(tmp_path / "a", folder), precision="float32", quantize="4bit")
    assert tuned.spec.dtype == "4bit-float32" and tuned.spec.adapter


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
