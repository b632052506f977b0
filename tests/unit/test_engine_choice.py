"""Which engine is asked for, by name, and whether it is there."""

import importlib
import sys

import pytest

from personascope.errors import ModelError, UserError
from personascope.models.engine_choice import HF, engine_chosen, has_vllm


def test_a_folder_that_is_named_vllm_is_not_vllm(tmp_path, monkeypatch):
    (tmp_path / "vllm").mkdir()
    monkeypatch.setattr(sys, "path", [str(tmp_path)])
    importlib.invalidate_caches()
    assert not has_vllm()
    with pytest.raises(ModelError, match="vLLM is not installed") as error:
        engine_chosen("vllm")
    assert "--engine hf" in error.value.hint


def test_the_engine_is_chosen_by_name():
    assert engine_chosen("hf") == HF
    with pytest.raises(UserError, match="there is no engine 'vlm'"):
        engine_chosen("vlm")
    with pytest.raises(UserError, match="no --tensor-parallel"):
        engine_chosen("hf", 2)
