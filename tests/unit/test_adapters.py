"""A name that is an adapter: found in a folder or on the Hub, with base and tokenizer; what cannot be had is told."""

import importlib.metadata
import json
import shutil
import sys
from pathlib import Path

import huggingface_hub
import numpy as np
import peft
import pytest
import tiny_adapters
import tiny_models
import torch
from huggingface_hub.errors import EntryNotFoundError, LocalEntryNotFoundError
from safetensors.torch import load_file, save_file

from personascope.errors import ModelError
from personascope.models import adapters, default_model, loading, opening
from personascope.models.adapters import find_adapter, same_base
from personascope.models.opening import open_model, open_tuned
from personascope.models.protocols import Chat

CHATS, REPLIES = [Chat("who are you?", "be kind")], ["a friend"]


def read(engine):
    return engine.residuals(CHATS, REPLIES, layers=[3]).reply_mean


@pytest.fixture
def base(tmp_path):
    return tiny_adapters.saved_base(tmp_path / "base")


@pytest.fixture
def name(tmp_path, base):
    return tiny_adapters.saved_adapter(tmp_path / "adapter", base)


def change_weights(folder, change):
    path = Path(folder) / "adapter_model.safetensors"
    save_file(change(load_file(path)), path)


def test_a_spec_tells_adapters_and_their_trainings_apart(tmp_path, base, name):
    engine = open_model(base)
    tuned = open_tuned(engine, name)
    assert tuned.spec.name == name and tuned.spec.adapter.startswith(name) and engine.spec.adapter is None
    again = tiny_adapters.saved_adapter(tmp_path / "again", base, seed=1)
    scaled = str(shutil.copytree(name, tmp_path / "scaled"))
    tiny_adapters.with_config(scaled, lora_alpha=80)
    specs = [engine.spec, tuned.spec, open_tuned(engine, again).spec, open_tuned(engine, scaled).spec]
    assert len({spec.weights for spec in specs}) == 4 and len({spec.adapter for spec in specs}) == 4
    moved = str(shutil.copytree(name, tmp_path / "moved"))
    assert open_tuned(engine, moved).spec.weights == tuned.spec.weights


def test_a_full_checkpoint_is_opened_as_a_model_of_its_own(tmp_path, base):
    engine = open_model(base)
    other = open_tuned(engine, tiny_adapters.saved_base(tmp_path / "other", seed=1))
    assert other.loaded.model is not engine.loaded.model and other.spec.adapter is None and other.notes == engine.notes
    assert not np.array_equal(read(other), read(engine))


def test_the_default_model_is_found_under_all_its_names(monkeypatch, tmp_path):
    folder = str(default_model.converted_folder())
    assert same_base(default_model.HUB_NAME, default_model.NAME) and same_base(folder, default_model.NAME)
    asked = []

    def stop(source, *_args, **_settings):
        asked.append(source.name)
        raise ModelError("enough", hint="none")

    monkeypatch.setattr(opening, "load", stop)
    monkeypatch.setattr(default_model, "default_model_source", lambda: "anywhere")
    for number, called in enumerate((default_model.NAME, default_model.HUB_NAME, folder)):
        with pytest.raises(ModelError, match="enough"):
            open_model(tiny_adapters.saved_adapter(tmp_path / str(number), called, revision="main"))
    assert asked == [default_model.NAME] * 3


TWO_TURNS = (
    "{% for m in messages %}{{ '<|user|>' + m['content'] }}{% endfor %}{% if add_generation_prompt %}~{% endif %}"
)


def test_tokenizer_and_template_are_the_adapters_own_where_it_has_them(tmp_path, base, name):
    engine = open_model(base)
    assert open_tuned(engine, name).notes == engine.notes
    (Path(name) / "chat_template.jinja").write_text(TWO_TURNS)
    tuned = open_tuned(engine, name)
    assert tuned.loaded.chat_format.text(Chat("hi", None)) == "<|user|>hi~" and engine.loaded.chat_format.text(
        Chat("hi", None)
    ).endswith("<|model|>")
    assert [note for note in tuned.notes if "chat templates" in note] and tuned.spec.template != engine.spec.template
    (Path(name) / "chat_template.jinja").unlink()
    without = tiny_models.tokenizer(template=None)
    without.save_pretrained(name)
    assert open_tuned(engine, name).spec.template == engine.spec.template
    swapped = json.loads((Path(name) / "tokenizer.json").read_text())
    words = swapped["model"]["vocab"]
    words["a"], words["b"] = words["b"], words["a"]
    (Path(name) / "tokenizer.json").write_text(json.dumps(swapped))
    assert any("differ in 2 tokens" in note for note in open_tuned(engine, name).notes)


def test_a_full_checkpoints_tokenizer_is_compared_too(tmp_path, base):
    other = tiny_adapters.saved_base(tmp_path / "other", seed=1)
    tiny_models.tokenizer(TWO_TURNS).save_pretrained(other)
    assert any("chat templates" in note for note in open_tuned(open_model(base), other).notes)


def test_another_bases_name_is_a_note_where_the_shapes_fit(tmp_path, base, name):
    other = open_model(tiny_adapters.saved_base(tmp_path / "other", seed=1))
    assert any(f"names {base} as its base" in note for note in open_tuned(other, name).notes)


def without_one(weights):
    return dict(list(weights.items())[1:])


def with_one_more(weights):
    name, weight = next(iter(weights.items()))
    return weights | {name.replace("layers.0", "layers.9"): weight.clone()}


def with_a_base_weight(weights):
    return weights | {"base_model.model.model.norm.weight": torch.full([32], 2.0)}


@pytest.mark.parametrize(
    ("change", "found"),
    [
        (without_one, "1 weights are missing or have no place, as model.layers.0"),
        (with_one_more, "1 weights are missing or have no place, as model.layers.9"),
        (with_a_base_weight, "changed weights of the base itself, as model.norm.weight"),
        (lambda weights: {name: weight[:, :2].contiguous() for name, weight in weights.items()}, "size mismatch"),
        (lambda weights: {n: w * ("lora_B" not in n) for n, w in weights.items()}, "all its lora_B weights are zero"),
    ],
    ids=["missing", "too many", "of the base", "shapes", "idle"],
)
def test_weights_that_do_not_fit_are_refused_and_the_base_is_what_it_was(base, name, change, found):
    engine = open_model(base)
    before, modules = read(engine), [type(module) for module in engine.loaded.model.modules()]
    change_weights(name, change)
    with pytest.raises(ModelError, match=found) as caught:
        open_tuned(engine, name)
    assert caught.value.hint and "\n" not in str(caught.value)
    assert [type(module) for module in engine.loaded.model.modules()] == modules
    assert np.array_equal(read(engine), before)


def test_an_adapter_without_effect_is_refused_and_taken_off(base, tmp_path):
    engine = open_model(base)
    name = tiny_adapters.saved_adapter(tmp_path / "a", base, lora_alpha=0)
    with pytest.raises(ModelError, match=r"changes nothing.*not all zero"):
        open_tuned(engine, name)
    assert not [weight for weight, _ in engine.loaded.model.named_parameters() if "lora" in weight]


@pytest.mark.parametrize("other", ["gpt2", "wider"])
def test_an_adapter_of_another_base_is_refused_with_that_bases_name(tmp_path, name, base, other):
    folder = tmp_path / "other"
    if other == "gpt2":
        engine = open_model(tiny_adapters.saved_base(folder, "gpt2"))
    else:
        config = tiny_models.CONFIGS["llama"]()
        config.hidden_size = 64
        tiny_models.transformers.LlamaForCausalLM(config).save_pretrained(folder)
        tiny_models.tokenizer().save_pretrained(folder)
        engine = open_model(str(folder))
    with pytest.raises(ModelError, match="does not fit") as caught:
        open_tuned(engine, name)
    assert base in caught.value.hint


@pytest.mark.parametrize("named", ["", "no/such/base"])
def test_a_base_that_cannot_be_had_is_named_with_the_way_round(name, named):
    tiny_adapters.with_config(name, base_model_name_or_path=named or None)
    with pytest.raises(ModelError, match=named or "does not say on which base") as caught:
        open_model(name)
    assert "compare BASE ADAPTER" in caught.value.hint and "open_tuned" in caught.value.hint


def test_pickles_are_refused(base, name):
    (Path(name) / "adapter_model.safetensors").rename(Path(name) / "adapter_model.bin")
    with pytest.raises(ModelError, match="pickled") as caught:
        open_model(name)
    assert "save_pretrained" in caught.value.hint


@pytest.mark.parametrize(
    ("changes", "found"),
    [
        ({"init_lora_weights": "pissa"}, "pissa"),
        ({"peft_type": "NONESUCH"}, "NONESUCH"),
        ({"alora_invocation_tokens": [3]}, "waits for some"),
    ],
)
def test_adapters_that_cannot_share_a_base_are_refused(base, name, changes, found):
    tiny_adapters.with_config(name, **changes)
    with pytest.raises(ModelError, match=found) as caught:
        open_tuned(open_model(base), name)
    assert caught.value.hint


def test_prompt_tuning_is_refused(base, tmp_path):
    config = peft.PromptTuningConfig(task_type="CAUSAL_LM", num_virtual_tokens=2)
    name = tiny_adapters.saved_tuned(tmp_path / "a", config, base)
    with pytest.raises(ModelError, match="PROMPT_TUNING"):
        open_tuned(open_model(base), name)


def test_a_tokenizer_beyond_the_bases_embeddings_is_refused(base, name):
    larger = tiny_models.tokenizer()
    larger.add_tokens(["<extra>"])
    larger.save_pretrained(name)
    with pytest.raises(ModelError, match="ids up to 102") as caught:
        open_tuned(open_model(base), name)
    assert "merge_and_unload" in caught.value.hint


def test_without_peft_the_extra_is_named(monkeypatch, base, name):
    engine = open_model(base)
    monkeypatch.setitem(sys.modules, "peft", None)
    with pytest.raises(ModelError, match="peft is not installed") as caught:
        open_tuned(engine, name)
    assert "personascope[peft]" in caught.value.hint
    assert "peft" in importlib.metadata.metadata("personascope").get_all("Provides-Extra")


class Hub:
    """A stand-in for the Hub: one repository, in a folder."""

    def __init__(self, monkeypatch, folder, *, reachable=True):
        self.folder, self.wanted = Path(folder), []
        monkeypatch.setattr(loading, "hub_answers", lambda: reachable)
        monkeypatch.setattr(huggingface_hub, "try_to_load_from_cache", lambda *_args, **_settings: None)
        monkeypatch.setattr(huggingface_hub, "hf_hub_download", self.one)
        monkeypatch.setattr(huggingface_hub, "snapshot_download", self.all)

    def one(self, repo, file, *, revision, local_files_only):
        if local_files_only:
            raise LocalEntryNotFoundError("not in the cache")
        if repo != "some/adapter" or not (self.folder / file).exists():
            raise EntryNotFoundError("404")
        return str(self.folder / file)

    def all(self, _repo, *, revision, allow_patterns, local_files_only):
        self.wanted += allow_patterns
        return str(self.folder)


def test_an_adapter_of_the_hub_is_opened_and_its_pickles_stay_there(monkeypatch, base, name):
    hub = Hub(monkeypatch, name)
    tuned = open_tuned(open_model(base), "some/adapter")
    assert tuned.spec.name == "some/adapter" and tuned.spec.adapter.startswith("some/adapter ")
    assert adapters.PICKLED not in hub.wanted and adapters.WEIGHTS in hub.wanted
    assert find_adapter("some/model") is None and find_adapter(base) is None


def test_offline_a_name_that_is_not_in_the_cache_is_no_adapter(monkeypatch, name):
    Hub(monkeypatch, name, reachable=False)
    assert find_adapter("some/adapter") is None
    with pytest.raises(ModelError, match="the Hub cannot be reached"):
        open_model("some/adapter")
