"""The toy model against the truth planted in it."""

from dataclasses import replace
from itertools import product

import numpy as np
import pytest

from personascope.dose_response import propensity, propensity_curve, reverses_sign, slope_estimate, token_means
from personascope.errors import LayerError
from personascope.models.protocols import Chat, Condition, Sampling, Steering
from personascope.models.toy import Planted, ToyModel
from personascope.models.toy_words import BRIGHT, DULL, END_CHANCE, NEUTRAL, UNKNOWN_CHANCE
from personascope.steering import MODES

SAMPLING = Sampling(max_new_tokens=12)
SHALLOW = Planted(n_layers=2, layer=1)  # as the default model at its planted layer, and faster
SILENT = Planted(noise=0.0, quirk=0.0)  # all that scatters the poles of one question is gone
HIGH = tuple(f"You are a {word} person." for word in BRIGHT)
LOW = tuple(f"You are a {word} person." for word in DULL)


def crossed(instructions, n_questions):
    return [Chat(f"What of matter {q}?", told) for told, q in product(instructions, range(n_questions))]


def apart(instruction, n):
    """Chats that share neither question nor instruction."""
    return [Chat(f"{instruction} and matter {i}?", f"{instruction} Your number is {i}.") for i in range(n)]


def activations(model, chats, first_seed, field="reply_mean"):
    seeds = range(first_seed, first_seed + len(chats))
    made = model.generate(chats, SAMPLING, seeds=seeds, layers=range(model.spec.n_layers))
    return getattr(made.residuals, field).astype(np.float64)


def cosine(a, b):
    return a @ b / np.linalg.norm(a) / np.linalg.norm(b)


@pytest.mark.parametrize("field", ["reply_mean", "prompt_last"])
def test_without_noise_every_pair_of_rollouts_differs_by_exactly_the_planted_gap(field):
    model = ToyModel(SILENT)
    high = activations(model, crossed(HIGH, 3), 0, field)
    low = activations(model, crossed(LOW, 3), 1000, field)
    truth = np.stack([model.gap(k) * model.planted_direction(k) for k in range(12)])
    np.testing.assert_allclose(high - low, np.broadcast_to(truth, high.shape), atol=2e-6)


def test_the_gap_is_whole_at_the_planted_layer_and_halves_one_and_a_half_layers_away():
    model = ToyModel(Planted(layer=5, gap=3.0))
    gaps = [model.gap(k) for k in range(12)]
    assert gaps[5] == 3.0
    assert max(gaps) == gaps[5] and gaps[:6] == sorted(gaps[:6]) and gaps[5:] == sorted(gaps[5:], reverse=True)
    assert gaps[4] == gaps[6] and gaps[2] == gaps[8] == pytest.approx(3.0 / 16)


def test_planted_directions_are_unit_and_turn_by_a_fifth_of_a_radian_a_layer():
    model = ToyModel(seed=3)
    directions = np.stack([model.planted_direction(k) for k in range(12)])
    steps = np.subtract.outer(np.arange(12), np.arange(12))
    np.testing.assert_allclose(directions @ directions.T, np.cos(0.2 * steps), atol=1e-12)
    assert abs(cosine(directions[7], ToyModel(seed=4).planted_direction(7))) < 0.6


def test_difference_of_means_has_the_cosine_that_the_spread_predicts():
    n, predicted, found = 60, [], []
    for seed in range(12):
        model = ToyModel(SHALLOW, seed=seed)
        spread = model.spread(SAMPLING)
        trace = spread.question + spread.instruction + spread.reply
        predicted.append(1 / np.sqrt(1 + 2 * trace / (n * model.gap(1) ** 2)))
        high, low = activations(model, apart("Be cheerful.", n), 0), activations(model, apart("Be gloomy.", n), n)
        found.append(cosine((high.mean(0) - low.mean(0))[1], model.planted_direction(1)))
    assert 0.85 < np.mean(predicted) < 0.9
    assert np.mean(found) == pytest.approx(np.mean(predicted), abs=0.02)


def test_quirks_of_few_instructions_bound_the_cosine_however_many_the_questions():
    predicted, found = [], []
    for seed in range(16):
        model = ToyModel(replace(SHALLOW, quirk=1.0, noise=2.0), seed=seed)
        spread = model.spread(SAMPLING)
        scatter = spread.instruction / 4 + spread.reply / 40
        predicted.append(1 / np.sqrt(1 + 2 * scatter / model.gap(1) ** 2))
        high, low = activations(model, crossed(HIGH[:4], 10), 0), activations(model, crossed(LOW[:4], 10), 40)
        found.append(cosine((high.mean(0) - low.mean(0))[1], model.planted_direction(1)))
    assert 0.75 < np.mean(predicted) < 0.85
    assert np.mean(found) == pytest.approx(np.mean(predicted), abs=0.03)


@pytest.mark.parametrize("instruction", ["Be cheerful.", "Be gloomy."])
@pytest.mark.parametrize("constant", [0.0, 1.5])
def test_the_rollouts_of_a_pole_scatter_by_the_trace_told(instruction, constant):
    model, n = ToyModel(replace(SHALLOW, pull=1.5, question=constant, quirk=constant / 1.5)), 400
    made = model.generate(apart(instruction, n), SAMPLING, seeds=range(n), layers=[0, 1]).residuals
    spread, of_a_word = model.spread(SAMPLING), model.spread(Sampling(1)).reply
    expected = spread.question + spread.instruction + of_a_word * np.mean(1 / made.n_tokens)  # given the lengths drawn
    found = made.reply_mean.astype(np.float64).var(axis=0, ddof=1).sum(axis=-1)
    np.testing.assert_allclose(found, expected, rtol=0.04)


def test_the_trace_of_replies_follows_their_length():
    model = ToyModel(SHALLOW)
    lengths = [r.n_tokens for r in model.generate(apart("x", 4000), SAMPLING, seeds=range(4000)).replies]
    ratio = model.spread(SAMPLING).reply / model.spread(Sampling(1)).reply
    assert np.mean(1 / np.array(lengths)) == pytest.approx(ratio, rel=0.04)


def test_wording_adds_nothing_to_the_difference_of_the_poles():
    n, model = 150, ToyModel(replace(SHALLOW, gap=0.0, question=0.0, quirk=0.0, pull=3.0))
    high, low = activations(model, apart("Be cheerful.", n), 0), activations(model, apart("Be gloomy.", n), n)
    by_chance = 2 * model.spread(SAMPLING).reply / n
    np.testing.assert_allclose(((high.mean(0) - low.mean(0)) ** 2).sum(axis=-1), by_chance, rtol=0.6)


@pytest.mark.parametrize("planted_layer", [3, 7, 9])
def test_the_layer_of_best_contrast_is_the_planted_one(planted_layer):
    model = ToyModel(Planted(layer=planted_layer))
    high, low = activations(model, crossed(HIGH, 10), 0), activations(model, crossed(LOW, 10), 80)
    difference = high.mean(0) - low.mean(0)
    noise = np.sqrt((high.var(axis=0).sum(axis=-1) + low.var(axis=0).sum(axis=-1)) / 2)
    assert np.argmax(np.linalg.norm(difference, axis=-1) / noise) == planted_layer


def test_the_projection_on_the_truth_is_one_gap_from_pole_to_pole():
    model = ToyModel(replace(SHALLOW, gap=2.0))
    high, low = activations(model, crossed(HIGH, 20), 0), activations(model, crossed(LOW, 20), 160)
    found = (high.mean(0) - low.mean(0))[1] @ model.planted_direction(1)
    spread = model.spread(SAMPLING)
    error = np.sqrt(2 * (spread.instruction / 8 + spread.reply / 160) / model.spec.width)
    assert abs(found - 2.0) < 3 * error < 0.2


def test_words_show_the_pole_and_lengths_do_not():
    model = ToyModel()
    high = model.generate(crossed(HIGH, 40), SAMPLING, seeds=range(320)).replies
    low = model.generate(crossed(LOW, 40), SAMPLING, seeds=range(320)).replies
    assert np.mean([model.leaning(r.text) for r in high]) > 0.15
    assert np.mean([model.leaning(r.text) for r in low]) < -0.15
    assert [r.n_tokens for r in high] == [r.n_tokens for r in low]
    assert np.mean([r.n_tokens == 1 for r in high]) == pytest.approx(END_CHANCE, abs=0.04)
    assert np.mean([not r.ended for r in high]) == pytest.approx((1 - END_CHANCE) ** 11, abs=0.08)


def test_the_same_seed_under_a_higher_leaning_never_says_a_duller_word():
    model = ToyModel(Planted(pull=1.0), leanings={"low": -1.0, "some": 0.4, "high": 1.0, "more": 2.0})
    said = []
    for told in ("low", "", "some", "high", "more"):
        reply = model.generate([Chat("Why?", told)], Sampling(200), seeds=[4]).replies[0]
        said.append([model.leaning(word) for word in reply.text.split()])
    assert len({len(signs) for signs in said}) == 1
    steps = np.diff(np.array(said), axis=0)
    assert np.all(steps >= 0) and np.all(steps.sum(axis=1) > 0)


def test_a_shorter_allowance_cuts_the_same_reply():
    model = ToyModel()
    whole = model.generate(apart("Be merry.", 20), Sampling(40), seeds=range(20)).replies
    cut = model.generate(apart("Be merry.", 20), Sampling(5), seeds=range(20)).replies
    assert [r.text for r in cut] == [" ".join(r.text.split()[:5]) for r in whole]
    assert {r.n_tokens for r in model.generate(apart("x", 3), Sampling(0), seeds=range(3)).replies} == {0}


def test_a_lower_temperature_says_the_leaning_louder():
    model, chats = ToyModel(), apart("Be cheerful.", 50)
    said = [model.generate(chats, Sampling(12, heat), seeds=range(50)).replies for heat in (4.0, 1.0, 0.25, 0.0)]
    loudness = [np.mean([model.leaning(reply.text) for reply in replies]) for replies in said]
    assert loudness == sorted(loudness)
    assert loudness[0] < 0.3 < 0.6 < loudness[2] < loudness[3] == 1.0


def test_greedy_words_are_of_the_leaning_only_and_differ_between_chats():
    model = ToyModel()
    greedy = Sampling(24, temperature=0.0)
    replies = model.generate(apart("Be cheerful.", 20), greedy, seeds=[0] * 20).replies
    assert {word for r in replies for word in r.text.split()} <= set(BRIGHT)
    assert len({r.text for r in replies}) > 10


def test_a_token_knows_the_text_before_it_and_nothing_after():
    planted = Planted(question=0.0, gap=0.0)
    model = ToyModel(planted)
    texts = ["the sunny road was", "the sunny road was drab"]
    four, five = model.residuals([Chat("Why?")] * 2, texts, layers=range(12)).reply_mean.astype(np.float64)
    fifth = 5 * five - 4 * four
    length = np.hypot(planted.noise, planted.noise / 2)
    np.testing.assert_allclose(
        np.linalg.norm(fifth, axis=-1), length, rtol=0.4
    )  # redrawn, the five would be 3 times it


def test_without_an_instruction_the_reply_so_far_leans():
    model = ToyModel(SILENT)
    texts = ["the road", "sunny jolly", "sunny drab", "gloomy day"]
    mean = model.residuals([Chat("Why?")] * 4, texts, layers=[7]).reply_mean[:, 0].astype(np.float64)
    along = (mean - mean[0]) @ model.planted_direction(7)
    np.testing.assert_allclose(along, [0.0, 0.5, 0.25, -0.5], atol=1e-6)  # in gaps: half of +1, half of (1 + 0) / 2 ...


@pytest.mark.parametrize(
    ("text", "leaning"),
    [
        ("", 0.0),
        ("Cheerful, SUNNY and (merry)!", 1.0),
        ("sunny, jolly, gloomy", 1 / 3),
        ("Torpid.", -1.0),
        ("a day", 0.0),
    ],
)
def test_a_text_leans_by_its_bright_and_dull_words(text, leaning):
    assert ToyModel().leaning(text) == pytest.approx(leaning)


def test_listed_texts_lean_as_listed_whatever_their_words():
    model = ToyModel.for_instructions(["You love crowds.", "gloomy"], ["You hate crowds."], planted=SILENT, seed=2)
    assert [model.leaning(t) for t in ("You love crowds.", "You hate crowds.", "gloomy", "drab")] == [1, -1, 1, -1]
    chats = [Chat("Why?", "You love crowds."), Chat("Why?", "You hate crowds."), Chat("Why?"), Chat("Why?")]
    found = model.residuals(chats, ["so", "so", "You love crowds.", "You hate crowds."], layers=[7])
    along = found.reply_mean[:, 0].astype(np.float64) @ model.planted_direction(7)
    assert along[0] - along[1] == pytest.approx(model.gap(7), abs=1e-6)
    assert along[2] - along[3] == pytest.approx(model.gap(7), abs=1e-6)
    assert found.prompt_last[2] == pytest.approx(found.prompt_last[3])


def test_forwards_are_counted_once_a_row_also_when_captured():
    model, chats = ToyModel(), apart("x", 5)
    assert model.n_forwards == 0
    model.generate(chats, SAMPLING, seeds=range(5))
    assert model.n_forwards == 5
    model.generate(chats, SAMPLING, seeds=range(5), layers=[7])
    assert model.n_forwards == 10
    model.residuals(chats, ["so"] * 5, layers=[7])
    assert model.n_forwards == 15
    model.spread(SAMPLING), model.leaning("so"), model.gap(7), model.planted_direction(7)
    assert model.n_forwards == 15


def test_another_truth_is_another_model():
    models = [ToyModel(), ToyModel(seed=1), ToyModel(Planted(gap=2.0)), ToyModel(leanings={"x": 1.0})]
    assert len({model.spec.revision for model in models}) == 4
    assert ToyModel().spec == ToyModel().spec


def test_a_layer_that_is_not_there_is_refused():
    with pytest.raises(LayerError, match="layer 7 does not exist"):
        ToyModel(Planted(n_layers=4))
    for ask in (ToyModel().gap, ToyModel().planted_direction):
        for layer in (-1, 12):
            with pytest.raises(LayerError) as refused:
                ask(layer)
            assert "0" in refused.value.hint and "11" in refused.value.hint


def planted(model, layer, strength=1.0, **more):
    """One gap of the planted direction at a layer, times the strength."""
    return Steering({layer: (model.gap(layer) * model.planted_direction(layer)).astype(np.float32)}, strength, **more)


def crosswise(model, layer, number=0):
    """A direction of length 1 at right angles to the planted one."""
    raw = np.random.default_rng(number).standard_normal(model.spec.width)
    raw -= raw @ model.planted_direction(layer) * model.planted_direction(layer)
    return (raw / np.linalg.norm(raw)).astype(np.float32)


def rollouts(model, n=20):
    """Replies of both poles to each of n questions: the questions' chats without instruction, the replies, the pole."""
    questions = [f"What of matter {i}?" for i in range(n)]
    texts = []
    for told, first in (("Be cheerful.", 0), ("Be gloomy.", n)):
        chats = [Chat(question, told) for question in questions]
        texts += [reply.text for reply in model.generate(chats, SAMPLING, seeds=range(first, first + n)).replies]
    return [Chat(question) for question in questions] * 2, texts, np.arange(2 * n) < n


def propensities(model, steerings, n=20, layer=7):
    """S of each steering, by question [steering question], and the planted slope of S for each gap of the layer."""
    chats, texts, high = rollouts(model, n)
    means = token_means(model.score(chats, texts, steerings=[(), *steerings]).logp)
    found = propensity(means[1:] - means[0], high, np.tile(np.arange(n), 2))
    return found, model.propensity_slope(texts[:n], texts[n:], layer=layer)


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


def test_words_are_drawn_with_the_chances_that_are_scored():
    model, n = ToyModel(Planted(noise=2.0, question=0.0, quirk=0.0)), 120
    when = Condition(6, crosswise(model, 6), 0.0)  # met at half of the tokens, by their noise
    steered = (
        planted(model, 7, 2.5, condition=when),
        planted(model, 7, 0.6, mode="floor", thresholds={7: 0.2}),
        planted(model, 8, 1.0, positions="prompt"),
    )
    for told in ("Be cheerful.", "So."):
        chats = apart(told, n)
        texts = [r.text for r in model.generate(chats, SAMPLING, seeds=range(n), steering=[steered] * n).replies]
        plain, found = model.score(chats, texts, steerings=[(), steered]).logp.astype(np.float64)
        ratio = np.exp(plain - found)[~np.isnan(found)]  # its mean is 1 over words drawn with the chances `found`
        error = ratio.std() / np.sqrt(len(ratio))
        assert abs(ratio.mean() - 1) < 4 * error < 0.4


def test_a_stronger_push_never_says_a_duller_word_and_never_ends_elsewhere():
    model, strengths = ToyModel(Planted(pull=1.0)), (-2.0, -0.3, 0.0, 0.2, 1.0, 5.0)
    steering = [(planted(model, 7, strength),) for strength in strengths]
    replies = model.generate([Chat("Why?")] * 6, Sampling(200), seeds=[4] * 6, steering=steering).replies
    said = np.array([[model.leaning(word) for word in reply.text.split()] for reply in replies])
    steps = np.diff(said, axis=0)
    assert np.all(steps >= 0) and np.all(steps.sum(axis=1) > 0)
    assert {reply.ended for reply in replies} == {True}


def test_scores_are_log_chances_of_the_words_given_that_one_comes():
    model = ToyModel(leanings={"some": 0.4})
    words = [*BRIGHT, *DULL, *NEUTRAL]
    logp = model.score([Chat("Why?", "some")] * 30, words, steerings=[()]).logp[0, :, 0]
    assert np.exp(logp.astype(np.float64)).sum() == pytest.approx(1, abs=1e-6)
    bright, dull, neutral = np.split(logp, [8, 16])
    assert np.ptp(bright) == np.ptp(dull) == np.ptp(neutral) == 0
    assert bright[0] - neutral[0] == pytest.approx(0.4 * 0.3, abs=1e-6)
    assert neutral[0] - dull[0] == pytest.approx(0.4 * 0.3, abs=1e-6)


def test_kl_is_that_of_the_word_distributions():
    model = ToyModel(leanings={"low": -1.0, "high": 1.0})
    words = [*BRIGHT, *DULL, *NEUTRAL]
    low, high = (
        model.score([Chat("Why?", told)] * 30, words, steerings=[()]).logp[0, :, 0] for told in ("low", "high")
    )
    expected = (np.exp(high.astype(np.float64)) * (high.astype(np.float64) - low)).sum()
    found = model.score([Chat("Why?", "low")], ["sunny and road"], steerings=[(planted(model, 7),), ()]).kl
    np.testing.assert_allclose(found[0, 0], expected, rtol=1e-5)
    np.testing.assert_array_equal(found[1, 0], 0)


def test_a_word_that_is_not_known_has_one_chance_under_every_steering():
    model = ToyModel()
    steerings = [(), (planted(model, 7, 3.0),)]
    found = model.score([Chat("Why?")], ["Sunny, zebra day"], steerings=steerings)
    np.testing.assert_allclose(found.logp[:, 0, 1], np.log(UNKNOWN_CHANCE), rtol=1e-6)
    assert found.logp[1, 0, 0] > found.logp[0, 0, 0]
    assert np.all(found.kl[1, 0] > 0)


def test_leanings_far_beyond_the_poles_say_bright_words_only_and_stay_finite():
    model = ToyModel()
    far = (planted(model, 7, 1e6),)
    reply = model.generate([Chat("Why?")], Sampling(30), seeds=[3], steering=[far]).replies[0]
    assert set(reply.text.split()) <= set(BRIGHT)
    found = model.score([Chat("Why?")], ["sunny drab"], steerings=[far])
    assert np.isfinite(found.logp[0]).all() and np.isfinite(found.kl[0]).all()
    assert found.logp[0, 0, 0] == pytest.approx(-np.log(8)) and found.logp[0, 0, 1] < -1e4


def test_where_nothing_was_planted_nothing_steers():
    model = ToyModel(Planted(gap=0.0))
    edits = [(Steering({7: crosswise(model, 7) + 1}, 2.0, mode),) for mode in ("add", "ablate")]
    found = model.score([Chat("Why?", "Be merry.")], ["sunny and drab"], steerings=[(), *edits])
    assert np.all(found.logp == found.logp[0]) and np.all(found.kl == 0)
    assert model.propensity_slope(["sunny"], ["drab"]) == 0


def test_the_gradient_lies_along_the_planted_direction_and_is_the_slope_of_s():
    model, n = ToyModel(), 20
    chats, texts, high = rollouts(model, n)
    weights = (np.where(high, 1.0, -1.0) / n).astype(np.float32)
    found = model.sensitivity(chats, texts, weights=weights, layers=[3, 7])
    slope = model.propensity_slope(texts[:n], texts[n:])
    expected = np.stack([slope * model.planted_direction(layer) / model.gap(7) for layer in (3, 7)])
    np.testing.assert_allclose(found, expected, atol=1e-6)


def test_scored_rows_are_counted_once_for_each_steering():
    model = ToyModel()
    model.score([Chat("Why?")] * 3, ["so", "", "the road"], steerings=[(), (planted(model, 7),)])
    assert model.n_forwards == 6
    model.generate([Chat("Why?")] * 3, SAMPLING, seeds=range(3), layers=[7], steering=[(planted(model, 7),)] * 3)
    assert model.n_forwards == 9


def test_the_dose_response_of_the_planted_direction_is_the_planted_one():
    model, strengths = ToyModel(), np.array([-1.0, -0.5, 0.5, 1.0])
    found, slope = propensities(model, [(planted(model, 7, strength),) for strength in strengths], n=30)
    curve = propensity_curve(found)
    assert reverses_sign(list(strengths), curve) == (True, True)
    estimate = slope_estimate(strengths, found)
    assert estimate.value == pytest.approx(slope, abs=1e-6)
    assert estimate.low < slope < estimate.high


def test_an_extracted_vector_steers_by_its_part_along_the_planted_direction():
    model, n = ToyModel(), 40
    high, low = activations(model, apart("Be cheerful.", n), 0), activations(model, apart("Be gloomy.", n), n)
    raw = (high.mean(axis=0) - low.mean(axis=0))[7]
    strengths = np.array([-0.5, 0.5])
    steerings = [(Steering({7: raw.astype(np.float32)}, strength),) for strength in strengths]
    found, slope = propensities(model, steerings)
    share = float(raw @ model.planted_direction(7)) / model.gap(7)
    assert 0.5 < share < 1.5
    np.testing.assert_allclose(found.mean(axis=1), strengths * slope * share, atol=1e-6)
