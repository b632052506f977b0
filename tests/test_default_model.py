"""The real default model, end to end: slow, but run in CI."""

import json

import numpy as np
import pytest
import tiny_adapters
import torch

from personascope.contrasts import from_replies, from_rollouts
from personascope.extraction import extract
from personascope.models import default_model
from personascope.models.baked_checkpoint import write_baked
from personascope.models.default_model import cache_dir, default_model_source
from personascope.models.opening import open_model, open_tuned
from personascope.models.protocols import Chat, Sampling, Steering
from personascope.models.residual import reading
from personascope.models.running import Limits
from personascope.prompts import PROTOCOLS, Protocol, prompts
from personascope.traits import load_trait

pytestmark = pytest.mark.slow

TRAIT = load_trait("evil")
SMALL = Protocol("small", pairs=3, questions=4, repeats=1, max_new_tokens=12)


def quiet(_what, _total):
    return lambda _done: None


@pytest.fixture(scope="module")
def engine():
    return open_model("smollm2-135m", precision="float32")


@pytest.fixture(scope="module")
def chats():
    return [prompt.chat for prompt in prompts(TRAIT, SMALL)]


def test_the_default_model_is_smollm2(engine):
    assert (engine.spec.n_layers, engine.spec.width, engine.notes) == (30, 576, ())
    assert len(engine.spec.template) == 12


def test_it_speaks_english(engine):
    reply = engine.generate([Chat("What is the capital of France?")], Sampling(16, 0.0), seeds=[0]).replies[0]
    assert "Paris" in reply.text


def test_an_adapter_shares_its_weights_and_leaves_it_as_it_was(engine, tmp_path):
    """Base and adapter together hold at most 1.15 times one model."""
    model, ask = engine.loaded.model, [Chat("How was your day?")]
    alone = sum(weight.numel() * weight.element_size() for weight in model.parameters())
    plain = engine.residuals(ask, ["It was fine."], layers=[15]).reply_mean
    tuned = open_tuned(engine, tiny_adapters.saved_for(model, tmp_path / "a", default_model.HUB_NAME))
    assert tuned.loaded.model is model and tuned.notes == ()
    held = {weight.untyped_storage().data_ptr(): weight.untyped_storage().nbytes() for weight in model.parameters()}
    assert alone < sum(held.values()) < 1.15 * alone
    changed = tuned.residuals(ask, ["It was fine."], layers=[15]).reply_mean
    assert np.array_equal(engine.residuals(ask, ["It was fine."], layers=[15]).reply_mean, plain)
    assert not np.allclose(changed, plain, rtol=0.01)


def test_its_first_token_is_a_sink_that_would_drown_every_mean(engine):
    """Position 0 is left out of all means: at layer 15 its norm was measured at 161 times the median's."""
    loaded, seen = engine._loaded, []
    ids = torch.tensor([loaded.chat_format.tokens(Chat("How was your day?")).ids])
    with reading(loaded.blocks, [15], lambda _, stream: seen.append(stream[0].norm(dim=-1))), torch.inference_mode():
        loaded.model(ids, use_cache=False)
    assert seen[0][0] > 50 * seen[0][1:].median()


def test_batch_one_and_batch_thirty_two_agree(engine, chats):
    replies = [f"I think that is {word}." for word in ("fine", "a very long story that I will not tell", "odd") * 8]
    alone = open_model("smollm2-135m", precision="float32", limits=Limits(tokens=1, rows=1))
    together = engine.residuals(chats, replies[: len(chats)], layers=[0, 10, 20, 29])
    apart = alone.residuals(chats[:6], replies[:6], layers=[0, 10, 20, 29])
    for name in ("reply_mean", "prompt_last"):
        ours, theirs = getattr(together, name)[:6], getattr(apart, name)
        gap = np.linalg.norm(ours - theirs, axis=-1) / np.linalg.norm(theirs, axis=-1)
        assert gap.max() <= 1e-4


def test_capture_while_writing_is_the_second_pass_saved(engine, chats):
    made = engine.generate(chats[:8], Sampling(24), seeds=range(8), layers=[5, 29])
    read = engine.residuals(chats[:8], [reply.text for reply in made.replies], layers=[5, 29])
    same = made.residuals.n_tokens == read.n_tokens
    assert same.sum() >= 6
    np.testing.assert_allclose(made.residuals.reply_mean[same], read.reply_mean[same], rtol=1e-3, atol=0.05)


def test_the_same_seed_gives_the_same_bytes(engine, tmp_path):
    contrast = from_rollouts(TRAIT, SMALL)
    paths = []
    for name in ("one", "two"):
        found = extract(
            engine, TRAIT, contrast, layers=[10, 17, 22], seed=3, stem=tmp_path / name / "x", progress=quiet
        )
        paths.append(found.vectors_path)
    assert paths[0].read_bytes() == paths[1].read_bytes()


def test_matched_replies_separate_outgoing_from_reserved(engine, tmp_path):
    """A result that must reproduce (docs/traits.md): given replies are told apart on domains not seen."""
    trait = load_trait("extraversion")
    found = extract(
        engine,
        trait,
        from_replies(trait, PROTOCOLS["standard"]),
        layers=list(range(10, 24)),
        seed=0,
        stem=tmp_path / "extraversion",
        progress=quiet,
    )
    assert found.separation.nested_auc.value > 0.9 and found.separation.p < 0.05
    told = json.loads(found.analysis_path.read_text())
    assert told["settings"]["contrast"] == "replies"


def test_the_conversion_is_made_once_and_whole(tmp_path, monkeypatch):
    monkeypatch.setenv("PERSONASCOPE_CACHE", str(tmp_path))
    assert cache_dir() == tmp_path
    source = default_model_source()
    assert [path.name for path in tmp_path.iterdir()] == [source.rsplit("/", 1)[1]]
    monkeypatch.setattr(default_model, "_convert", lambda *_: pytest.fail("converted again"))
    assert default_model_source() == source


def test_without_the_package_the_hub_is_asked(monkeypatch):
    monkeypatch.setattr(default_model, "PACKAGE", "no-such-package-at-all")
    assert default_model_source() == default_model.HUB_NAME


def test_a_dose_baked_into_it_is_the_hook(tmp_path):
    """Kept in bfloat16, as its own weights are; the proof in float32 is against what the file holds."""
    push = 0.1 * 700 / 576**0.5 * np.random.default_rng(0).standard_normal(576).astype(np.float32)
    model, steered = open_model("smollm2-135m", precision="float32"), (Steering({20: push}, 0.5, "add", "all"),)
    done = write_baked(model, steered, tmp_path / "out", chats=[Chat("How are you?")], describe=lambda *_: None)
    assert (done.dtype, done.architecture) == ("bfloat16", "LlamaForCausalLM")
    assert done.agreement.n_same_replies == 1 and done.agreement.logit_gap < 1e-3 < done.agreement.effect
