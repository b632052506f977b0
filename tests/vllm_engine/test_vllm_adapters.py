"""LoRA adapters through vLLM's own requests: as the Hugging Face engine wears them, over the same weights."""

import pytest
import tiny_adapters
import tiny_models
import tiny_vllm
from agreement import CHATS, GREEDY, agree, reference

from personascope.errors import ModelError
from personascope.models.opening import open_model, open_tuned
from personascope.models.vllm.opening import How, open_vllm

pytestmark = pytest.mark.slow


@pytest.fixture
def adapters(tmp_path, monkeypatch):
    monkeypatch.setitem(tiny_models.CONFIGS, "llama", tiny_vllm.CONFIGS["llama"])
    base = tiny_vllm.folder("llama")
    return [tiny_adapters.saved_adapter(tmp_path / str(seed), base, seed=seed) for seed in (0, 1)]


def test_an_adapter_reads_writes_and_scores_as_the_reference_wears_it(adapters):
    hf = reference()
    base = open_vllm(tiny_vllm.folder("llama"), How("float32"), beside=adapters)
    for name in adapters:
        ours, theirs = open_tuned(base, name, precision="float32"), open_tuned(hf, name)
        agree(ours, theirs)
        assert (ours.spec.weights, ours.spec.adapter) == (theirs.spec.weights, theirs.spec.adapter)
    agree(base, hf)


def test_an_adapter_opens_the_base_that_it_names(adapters):
    ours = open_vllm(adapters[0], How("float32"))
    theirs = open_model(adapters[0], precision="float32")
    plain = reference().generate(CHATS, GREEDY, seeds=range(len(CHATS))).replies
    found = ours.generate(CHATS, GREEDY, seeds=range(len(CHATS))).replies
    assert found == theirs.generate(CHATS, GREEDY, seeds=range(len(CHATS))).replies != plain
    assert ours.notes == theirs.notes


def test_an_adapter_that_changes_nothing_is_refused(tmp_path, adapters):
    untrained = tiny_adapters.saved_adapter(tmp_path / "untrained", tiny_vllm.folder("llama"), size=0.0)
    with pytest.raises(ModelError, match="reads what it read without"):
        open_vllm(untrained, How("float32"))


def test_a_base_without_room_for_adapters_says_how_to_open_it(adapters):
    base = open_model(tiny_vllm.folder("llama"), engine="vllm", precision="float32")
    with pytest.raises(ModelError, match="without room for adapters") as refusal:
        open_tuned(base, adapters[0])
    assert "open_vllm(BASE, beside=[ADAPTER])" in refusal.value.hint
