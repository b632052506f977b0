"""What the toy says it would say: chances, divergences, slopes and doses, against the truth planted in it."""

import numpy as np
import pytest
from toy_pushes import SAMPLING, activations, apart, crosswise, planted, propensities, rollouts

from personascope.dose_response import propensity_curve, reverses_sign, slope_estimate
from personascope.models.protocols import Chat, Condition, Sampling, Steering
from personascope.models.toy import Planted, ToyModel
from personascope.models.toy_words import BRIGHT, DULL, NEUTRAL, UNKNOWN_CHANCE


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
