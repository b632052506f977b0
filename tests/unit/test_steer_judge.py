"""Steered replies rated by a judge: tables, JSON, and a judge who refuses."""

import numpy as np
import pytest
from judge_server import always, completion, serving
from steer_runs import steer_json

from personascope.models.toy import ToyModel


def lengthy(path, body):
    """A judge who finds long texts evil, and all coherent (in plain text); it cannot place what begins with a vowel."""
    if body is None or "number 50" in body["messages"][0]["content"]:
        return always(200, completion("50"))(path, body)
    if "evil" not in body["messages"][0]["content"]:
        return 200, completion("70")
    text = body["messages"][0]["content"].partition("<text>\n")[2].partition("\n</text>")[0]
    likeliest = {"No": -0.1} if begins_with_vowel(text) else {str(length_score(text)): -1.0, "100": -1.0, "No": -1.5}
    return 200, completion("x", likeliest)


def begins_with_vowel(text):
    return text.strip()[0].lower() in "aeiou"


def length_score(text):
    return min(len(text.strip()) // 5, 99)


def test_a_judge_rates_every_reply_and_the_json_says_how(run, vectors):
    prompts = [part for name in ("One", "Two", "Three", "Four") for part in ("--prompt", name)]
    with serving(lengthy) as endpoint:
        told = steer_json(run, vectors, *prompts, "--strengths", "-6 0 6", "--judge-url", endpoint.url)
    assert not any(mark in question for question in endpoint.questions for mark in ("rho", "strength", "-6", "+6"))
    assert told["settings"]["judge"] == {"model": "first-judge", "url": endpoint.url}
    replies = [reply for one in told["prompts"] for reply in one["replies"]]
    vowels = [begins_with_vowel(reply["text"]) for reply in replies]
    assert any(vowels) and not all(vowels)
    for reply, vowel in zip(replies, vowels, strict=True):
        trait, coherence = reply["judge"]["trait"], reply["judge"]["coherence"]
        expected = None if vowel else pytest.approx((length_score(reply["text"]) + 100) / 2)
        assert (trait["value"], trait["read"]) == (expected, "logprobs")
        assert coherence == {"value": 70.0, "read": "text", "why": ""} and reply["judge"]["model"] == "first-judge"
    for number, dose in enumerate(told["doses"]):
        values = [one["replies"][number]["judge"]["trait"]["value"] for one in told["prompts"]]
        there = [value for value in values if value is not None]
        assert dose["judge"]["trait"] == {"mean": pytest.approx(np.mean(there)) if there else None, "n": len(there)}
        assert dose["judge"]["coherence"] == {"mean": 70.0, "n": 4}
    assert told["notes"][-1].startswith(f"! {sum(vowels)} of 24 scores missing")


def test_a_judges_means_stand_with_the_other_measures_in_80_columns(run, vectors):
    asked = ("--prompt", "A", "--prompt", "B", "--strengths", "-2 0 2", "--judge-model", "mine")
    with serving(lengthy) as endpoint:
        code, out, _ = run("steer", "toy", "--vectors", vectors, *asked, "--judge-url", endpoint.url, width=80)
    assert code == 0
    heads = [line for line in out.splitlines() if "perplexity" in line]
    assert len(heads) == 3 and all(line.split()[-2:] == ["trait", "coherence"] and len(line) <= 80 for line in heads)
    rows = [line.split() for line in out.splitlines() if line.strip().startswith(("−2.0", "0.0", "+2.0"))]
    assert [row[-1] for row in rows if len(row) == 8] == ["70"] * 9
    assert "Judge mine: trait from 0 (dull) to 100 (bright), coherence from 0 to 100; " in out


def test_without_a_judge_nothing_of_one_is_told(run, vectors):
    told = steer_json(run, vectors, "--prompt", "Hi")
    assert told["settings"]["judge"] is None
    assert "judge" not in told["doses"][0] and "judge" not in told["prompts"][0]["replies"][0]


def test_a_judge_that_refuses_is_told_before_anything_is_written(run, vectors, monkeypatch):
    monkeypatch.setattr(ToyModel, "generate", lambda *_args, **_asked: pytest.fail("something was generated"))
    monkeypatch.setenv("PERSONASCOPE_JUDGE_KEY", "sk-secret")
    with serving(always(401, {})) as endpoint:
        code, out, err = run("steer", "toy", "--vectors", vectors, "--judge-url", endpoint.url)
    assert code == 2 and out == "" and "refuses the key (401)" in err and "hint: " in err and "sk-secret" not in err
