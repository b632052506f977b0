"""The toy model against the truth planted in it."""

from dataclasses import replace
from itertools import product

import numpy as np
import pytest
from toy_pushes import SAMPLING, SHALLOW, activations, apart

from personascope.errors import LayerError
from personascope.models.protocols import Chat, Sampling
from personascope.models.toy import Planted, ToyModel
from personascope.models.toy_words import BRIGHT, DULL, END_CHANCE

SILENT = Planted(noise=0.0, quirk=0.0)  # all that scatters the poles of one question is gone
HIGH = tuple(f"You are a {word} person." for word in BRIGHT)
LOW = tuple(f"You are a {word} person." for word in DULL)


def crossed(instructions, n_questions):
    return [Chat(f"What of matter {q}?", told) for told, q in product(instructions, range(n_questions))]


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


def test_what_was_said_before_is_read_too():
    chat = Chat("How are you?")
    later = replace(chat, earlier=(("Hello.", "glad"),))
    made = ToyModel().generate([chat, later], replace(SAMPLING, temperature=0.0), seeds=[0, 0], layers=[0])
    assert made.replies[0].text != made.replies[1].text
    assert not np.array_equal(made.residuals.prompt_last[0], made.residuals.prompt_last[1])


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
