"""Replies at several doses: one batch, the same noise, the dose alone differs; and what they look like."""

import math

import numpy as np
import pytest
import tiny_models
import torch

from personascope.artifacts import header
from personascope.errors import ContrastError, LayerError, SteeringError
from personascope.models.protocols import Chat, ModelSpec, Reply, Sampling, Steering
from personascope.models.toy import ToyModel
from personascope.steered_replies import Dial, describe, described, steered_replies
from personascope.text_measures import measure
from personascope.vectors import Vectors

CHATS = [Chat("What do you do?"), Chat("Where is the town?"), Chat("Who came?")]
SAMPLING = Sampling(12, 0.7)


def vectors_for(spec: ModelSpec, raw, *, norms=4.0) -> Vectors:
    layers = tuple(range(len(raw)))
    told = header("persona vectors", model=spec, made_from={}, settings={"seed": 0})
    told |= {"trait": {"name": "evil", "high": "evil", "low": "kind"}, "chosen_layer": 1}
    told |= {"layers": {str(layer): {"residual_norm": norms + layer} for layer in layers}}
    return Vectors(layers, np.asarray(raw, dtype=np.float32), told)


def planted(toy: ToyModel) -> Vectors:
    gaps = [toy.gap(layer) * toy.planted_direction(layer) for layer in range(toy.spec.n_layers)]
    return vectors_for(toy.spec, np.stack(gaps))


class Spied(ToyModel):
    """A toy that tells how it was asked."""

    def generate(self, chats, sampling, **asked):
        self.asked = [*getattr(self, "asked", []), (list(chats), asked)]
        return super().generate(chats, sampling, **asked)


def test_all_doses_of_all_prompts_are_written_in_one_call_with_one_seed_a_prompt():
    toy = Spied()
    dial = Dial(planted(toy), (7,))
    doses = [dial.at(amount).steered for amount in (-1.0, 0.0, 2.0)]
    replies = steered_replies(toy, CHATS, doses, SAMPLING, seed=5)
    ((chats, asked),) = toy.asked
    assert chats == CHATS * 3
    assert asked["seeds"] == [5, 6, 7] * 3
    assert [row[0].strength for row in asked["steering"]] == [-1.0] * 3 + [0.0] * 3 + [2.0] * 3
    assert [len(of_dose) for of_dose in replies] == [3, 3, 3]


@pytest.mark.parametrize("make", [ToyModel, lambda: tiny_models.engine("llama")], ids=["toy", "llama"])
def test_a_row_at_strength_0_is_the_unsteered_reply_and_each_is_that_of_its_dose_alone(make):
    engine = make()
    raw = np.random.default_rng(0).standard_normal((engine.spec.n_layers, engine.spec.width))
    dial = Dial(vectors_for(engine.spec, raw), (1,))
    doses = [dial.at(amount).steered for amount in (-3.0, 0.0, 3.0)]
    replies = steered_replies(engine, CHATS, doses, SAMPLING, seed=1)
    plain = engine.generate(CHATS, SAMPLING, seeds=[1, 2, 3]).replies
    assert replies[1] == list(plain)
    for dose, together in zip(doses, replies, strict=True):
        assert steered_replies(engine, CHATS, [dose], SAMPLING, seed=1) == [together]
    assert replies[0] != replies[2]


def test_more_of_the_planted_direction_makes_brighter_replies():
    toy = ToyModel()
    dial = Dial(planted(toy), (7,))
    doses = [dial.at(amount).steered for amount in (-8.0, 0.0, 8.0)]
    replies = steered_replies(toy, [Chat(str(n)) for n in range(40)], doses, SAMPLING, seed=0)
    low, middle, high = ([toy.leaning(reply.text) for reply in of_dose] for of_dose in replies)
    assert np.mean(low) < np.mean(middle) < np.mean(high)


@pytest.mark.parametrize("make", [ToyModel, lambda: tiny_models.engine("llama")], ids=["toy", "llama"])
def test_what_is_written_can_be_listened_to(make):
    heard: dict[int, list[str]] = {}
    replies = steered_replies(
        make(), CHATS, [(), ()], SAMPLING, seed=0, listen=lambda row, text: heard.setdefault(row, []).append(text)
    )
    flat = [reply for of_dose in replies for reply in of_dose]
    assert sorted(heard) == [row for row, reply in enumerate(flat) if reply.n_tokens] != []
    for row, texts in heard.items():
        assert texts[-1] == flat[row].text and texts == sorted(texts, key=len)


def test_a_missing_layer_is_an_error_before_anything_is_written():
    toy = Spied()
    dial = Dial(planted(toy), (12,))
    with pytest.raises(LayerError, match="no layer 12"):
        steered_replies(toy, CHATS, [dial.at(1.0).steered], SAMPLING, seed=0)
    beyond = (Steering({99: planted(toy).raw[0]}),)
    with pytest.raises(LayerError):
        steered_replies(tiny_models.engine("llama"), CHATS, [beyond], SAMPLING, seed=0)
    assert not hasattr(toy, "asked")


def test_a_prompt_beyond_the_context_is_an_error():
    with pytest.raises(ContrastError, match="longer than the context"):
        steered_replies(tiny_models.engine("llama"), [Chat("word " * 200)], [()], SAMPLING, seed=0)


def test_a_dose_tells_its_strength_its_rho_and_whether_it_is_safe():
    raw = np.zeros((4, 8))
    raw[1, 0], raw[2, 0] = 2.0, 3.0
    vectors = vectors_for(ModelSpec("m", 4, 8, "float32"), raw)  # residual norm 4 + layer
    dose = Dial(vectors, (1,), safe=(-0.5, 0.8)).at(1.5)
    assert (dose.strength, dose.rho, dose.safe) == (1.5, pytest.approx(1.5 * 2 / 5), True)
    assert Dial(vectors, (1,), safe=(-0.5, 0.8)).at(-1.5).safe is False
    assert Dial(vectors, (1,)).at(1.5).safe is None
    for unit, amount in (("norm", 0.4), ("unit-vector", 2.0)):
        dose = Dial(vectors, (1,), unit=unit).at(amount)
        assert (dose.strength, dose.rho) == (pytest.approx(1.0), pytest.approx(0.4))
    hardest = Dial(vectors, (1, 2)).at(-2.0)
    assert hardest.rho == pytest.approx(-2 * 3 / 6) and hardest.strength == -2.0
    assert [sorted(edit.directions) for edit in hardest.steered] == [[1], [2]]


def test_in_the_unit_of_the_norm_each_of_several_layers_gets_the_same_share():
    raw = np.random.default_rng(0).standard_normal((4, 8))
    vectors = vectors_for(ModelSpec("m", 4, 8, "float32"), raw)
    for edit in Dial(vectors, (1, 3), unit="norm").at(0.25).steered:
        ((layer, vector),) = edit.directions.items()
        assert np.linalg.norm(edit.strength * vector) == pytest.approx(0.25 * (4 + layer), rel=1e-5)


def test_all_layers_add_up_to_the_last_vector():
    vectors = vectors_for(ModelSpec("m", 4, 8, "float32"), np.random.default_rng(0).standard_normal((4, 8)))
    (edit,) = Dial(vectors, vectors.layers, every_layer=True).at(2.0).steered
    np.testing.assert_allclose(sum(edit.directions.values()), vectors.raw[3], rtol=1e-5)
    assert edit.strength == 2.0


@pytest.mark.parametrize("amount", [math.nan, math.inf, -math.inf])
def test_no_number_is_no_dose(amount):
    with pytest.raises(SteeringError):
        Dial(planted(ToyModel()), (7,)).at(amount)


@pytest.mark.parametrize("settings", [{"mode": "ablate"}, {"every_layer": True}])
def test_a_mode_without_a_dose_takes_no_unit_of_one(settings):
    with pytest.raises(SteeringError, match=r"gaps|dose"):
        Dial(planted(ToyModel()), (7,), unit="norm", **settings).at(1.0)
    with pytest.raises(SteeringError):
        Dial(planted(ToyModel()), (7,), mode="ablate", every_layer=True).at(1.0)


def test_ablation_has_a_share_and_no_rho():
    dose = Dial(planted(ToyModel()), (7,), mode="ablate", safe=(-1.0, 1.0)).at(1.0)
    assert (dose.strength, dose.rho, dose.safe) == (1.0, None, None)


def test_perplexity_is_that_of_the_unsteered_model():
    engine = tiny_models.engine("llama")
    texts = [["abc de", "xyzzy"], ["hello", "q"]]
    replies = [[Reply(text, len(text), ended=True) for text in of_dose] for of_dose in texts]
    chats = [Chat("one"), Chat("two two")]
    found = describe(engine, chats, replies)
    loaded = engine._loaded
    for dose, of_dose in enumerate(texts):
        nll = []
        for chat, text in zip(chats, of_dose, strict=True):
            tokens = loaded.chat_format.tokens(chat, text)
            with torch.inference_mode():
                logp = torch.log_softmax(loaded.model(torch.tensor([tokens.ids])).logits[0].double(), dim=-1)
            own = [-float(logp[at - 1, tokens.ids[at]]) for at in range(tokens.start, len(tokens.ids))]
            assert found.by_reply[dose][chats.index(chat)].perplexity == pytest.approx(np.exp(np.mean(own)), rel=1e-4)
            nll += own
        assert found.by_dose[dose].perplexity == pytest.approx(np.exp(np.mean(nll)), rel=1e-4)
        assert found.by_dose[dose].measures == measure(of_dose)


def test_an_empty_reply_has_no_perplexity():
    assert math.isnan(described([""], [np.zeros(0, dtype=np.float32)]).perplexity)
    found = describe(ToyModel(), CHATS[:2], [[Reply("", 0, ended=True), Reply("sunny day", 2, ended=True)]])
    assert math.isnan(found.by_reply[0][0].perplexity)
    assert found.by_dose[0].perplexity == pytest.approx(found.by_reply[0][1].perplexity)
