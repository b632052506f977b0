"""The toy under edits of its stream, against the truth planted in it."""

from dataclasses import replace

import numpy as np
import pytest
from toy_pushes import SAMPLING, SHALLOW, apart, crosswise, planted, propensities, rollouts

from personascope.models.protocols import Chat, Sampling, Steering
from personascope.models.toy import Planted, ToyModel
from personascope.steering import MODES


@pytest.mark.parametrize("layer", range(12))
def test_propensity_is_linear_in_the_strength_with_the_planted_slope(layer):
    model, strengths = ToyModel(), np.array([-3.0, -1.0, -0.2, 0.5, 1.0, 4.0])
    steerings = [(planted(model, layer, strength),) for strength in strengths]
    found, slope = propensities(model, steerings, layer=layer)
    assert slope == pytest.approx(propensities(model, [])[1] * model.gap(layer) / model.gap(7))
    np.testing.assert_allclose(found.mean(axis=1), strengths * slope, atol=1e-6)


def test_one_gap_moves_the_leaning_by_exactly_two():
    model = ToyModel(leanings={"low": -1.0, "high": 1.0, "higher": 3.0})
    replies = ["the sunny road", "so drab"]
    by_instruction = [
        model.score([Chat("Why?", told)] * 2, replies, steerings=[()]).logp[0] for told in ("low", "high", "higher")
    ]
    steerings = [(planted(model, 7, gaps),) for gaps in (0.0, 1.0, 2.0)]
    steered = model.score([Chat("Why?", "low")] * 2, replies, steerings=steerings).logp
    np.testing.assert_allclose(steered, by_instruction, atol=1e-6)


@pytest.mark.parametrize("sampling", [Sampling(40), Sampling(40, 0.0), Sampling(40, 0.3)], ids=["1", "0", "0.3"])
@pytest.mark.parametrize("layer", [2, 7, 10])
def test_a_push_of_one_gap_makes_the_low_pole_say_what_the_high_pole_says(sampling, layer):
    model, seeds, questions = ToyModel(leanings={"told": -1.0}), range(8), [f"What of {i}?" for i in range(8)]
    low = [Chat(question, "told") for question in questions]
    push = planted(model, layer, model.gap(7) / model.gap(layer))
    steered = model.generate(low, sampling, seeds=seeds, steering=[(push,)] * 8).replies
    other = ToyModel(leanings={"told": 1.0})
    assert steered == other.generate(low, sampling, seeds=seeds).replies
    assert steered != model.generate(low, sampling, seeds=seeds).replies


@pytest.mark.parametrize("layer", [5, 7])
def test_a_direction_at_right_angles_steers_nothing(layer):
    model = ToyModel()
    sideways = [(Steering({layer: crosswise(model, layer, number)}, 3.0),) for number in range(3)]
    found, _ = propensities(model, sideways)
    np.testing.assert_allclose(found, 0.0, atol=1e-5)
    chats, texts, _ = rollouts(model, 5)
    assert np.nanmax(model.score(chats, texts, steerings=sideways).kl) < 1e-10
    bare = model.residuals(chats, texts, layers=[layer])
    pushed = model.residuals(chats, texts, layers=[layer], steering=[sideways[0]] * 10)
    length = np.linalg.norm(pushed.reply_mean - bare.reply_mean, axis=-1)
    np.testing.assert_allclose(length, 3.0, rtol=1e-5)


def test_edits_of_several_layers_move_the_leaning_together():
    model = ToyModel()
    both = Steering({**planted(model, 5).directions, **planted(model, 8).directions}, 0.5)
    found, slope = propensities(model, [(both,), (planted(model, 7, 0.7), planted(model, 7, -0.2))])
    of_both = 0.5 * (model.gap(5) + model.gap(8)) / model.gap(7)
    np.testing.assert_allclose(found.mean(axis=1), [of_both * slope, 0.5 * slope], atol=1e-6)


def test_a_change_is_carried_to_all_later_layers_and_to_none_before():
    model, chats, texts = ToyModel(), [Chat("Why?", "Be merry."), Chat("Where?")], ["the road", "sunny"]
    bare = model.residuals(chats, texts, layers=range(12))
    push = planted(model, 5, 2.0)
    found = model.residuals(chats, texts, layers=range(12), steering=[(push,)] * 2)
    for now, before in ((found.reply_mean, bare.reply_mean), (found.prompt_last, bare.prompt_last)):
        np.testing.assert_array_equal(now[:, :5], before[:, :5])
        np.testing.assert_allclose(
            (now - before)[:, 5:], np.broadcast_to(2 * push.directions[5], (2, 7, 64)), atol=1e-6
        )


QUIET = Planted(noise=0.0, quirk=0.0, question=0.0)  # a token is its leaning and nothing else


@pytest.mark.parametrize("layer", [5, 7])
@pytest.mark.parametrize(
    ("mode", "threshold", "high", "low"),
    [
        ("ablate", 0.0, 0.0, 0.0),
        ("cap", 0.0, 0.0, -1.0),
        ("cap", 0.25, 0.5, -1.0),
        ("cap", 0.6, 1.0, -1.0),
        ("floor", 0.0, 1.0, 0.0),
        ("floor", 0.25, 1.0, 0.5),
    ],
)
def test_without_noise_an_edit_sets_the_leaning_that_its_layer_shows(layer, mode, threshold, high, low):
    shown = ToyModel(QUIET).gap(layer) / QUIET.gap
    wanted_high, wanted_low = 1 + shown * (high - 1), -1 + shown * (low + 1)
    model = ToyModel(QUIET, leanings={"high": 1.0, "low": -1.0, "as high": wanted_high, "as low": wanted_low})
    edit = planted(model, layer, mode=mode, thresholds={layer: threshold * model.gap(layer)})
    chats, replies = [Chat("Why?", "high"), Chat("Why?", "low")], ["the sunny road was drab"] * 2
    steered = model.score(chats, replies, steerings=[(edit,)])
    wanted = model.score([Chat("Why?", "as high"), Chat("Why?", "as low")], replies, steerings=[()])
    np.testing.assert_allclose(steered.logp, wanted.logp, atol=1e-6)
    found = model.residuals(chats, replies, layers=[layer], steering=[(edit,)] * 2)
    along = found.reply_mean[:, 0].astype(np.float64) @ model.planted_direction(layer)
    np.testing.assert_allclose(along, np.array([high, low]) * model.gap(layer) / 2, atol=1e-6)


def test_half_an_ablation_halves_the_leaning():
    model = ToyModel(QUIET, leanings={"high": 1.0, "half": 0.5, "minus": -1.0})
    edits = [(planted(model, 7, strength, mode="ablate"),) for strength in (0.5, 2.0)]
    found = model.score([Chat("Why?", "high")], ["sunny and drab"], steerings=edits).logp[:, 0]
    wanted = [
        model.score([Chat("Why?", told)], ["sunny and drab"], steerings=[()]).logp[0, 0] for told in ("half", "minus")
    ]
    np.testing.assert_allclose(found, wanted, atol=1e-6)


def test_ablation_takes_the_poles_apart_no_longer():
    model, n = ToyModel(replace(SHALLOW, noise=1.0, pull=1.0)), 150
    edit = planted(model, 1, mode="ablate")

    def brightness(told, steered):
        replies = model.generate(apart(told, n), SAMPLING, seeds=range(n), steering=[steered] * n).replies
        return np.mean([model.leaning(word) for reply in replies for word in reply.text.split()])

    assert brightness("Be cheerful.", ()) > 0.4 and brightness("Be gloomy.", ()) < -0.4
    high, low = (brightness(told, (edit,)) for told in ("Be cheerful.", "Be gloomy."))
    assert abs(high - low) < 0.12 and abs(high + low) / 2 < 0.12


def test_steering_the_prompt_moves_the_first_word_only():
    model = ToyModel()
    chats, texts, _ = rollouts(model, 10)
    steerings = [(), (planted(model, 7, positions="prompt"),), (planted(model, 7),)]
    plain, prompt, reply = model.score(chats, texts, steerings=steerings).logp
    np.testing.assert_array_equal(prompt[:, 1:], plain[:, 1:])
    np.testing.assert_array_equal(prompt[:, 0], reply[:, 0])
    assert np.all(prompt[:, 0] != plain[:, 0])


@pytest.mark.parametrize("mode", MODES)
def test_a_steered_prompt_says_another_first_word_and_nothing_else(mode):
    model, n = ToyModel(Planted(pull=1.0)), 30
    edit = planted(model, 7, -1.0 if mode == "add" else 1.0, mode=mode, positions="prompt")
    edit = replace(edit, thresholds={7: -1.0 if mode == "cap" else 1.0})
    chats = apart("Be cheerful.", n)
    plain, steered = (
        [reply.text.split() for reply in model.generate(chats, SAMPLING, seeds=range(n), steering=steering).replies]
        for steering in (None, [(edit,)] * n)
    )
    assert [words[1:] for words in steered] == [words[1:] for words in plain]
    assert [words[0] for words in steered] != [words[0] for words in plain]
