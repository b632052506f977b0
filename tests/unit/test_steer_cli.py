"""Steering as a user meets it: tables, JSON, mistakes, the original's script, and a conversation in a terminal."""

import io
import json
import os
import pty
import re
import select
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import tiny_models
from judge_server import always, completion, serving

import personascope
from personascope.artifacts import header, sha256, write_json
from personascope.cli import interactive
from personascope.cli.app import app
from personascope.cli.app import run as run_command
from personascope.cli.interactive import Written, talk
from personascope.cli.steer_command import numbers_joined
from personascope.cli.steered_model import SteeredModel, Turned
from personascope.cli.steering_options import Asking, parse_also, parse_strengths
from personascope.errors import SteeringError
from personascope.models.opening import toy_for
from personascope.models.protocols import Chat, Reply, Sampling
from personascope.models.toy import ToyModel
from personascope.steered_replies import Dial, steered_replies
from personascope.steering_files import Advice
from personascope.traits import load_trait
from personascope.vectors import Vectors, read_vectors, write_vectors

ROOT = Path(__file__).resolve().parents[2]


def write_planted(folder, name, *, steering=None, spec=None):
    """The toy's planted directions as a trait's vectors file, with its analysis."""
    toy = toy_for(load_trait(name))
    layers = (5, 6, 7, 8)
    raw = np.stack([toy.gap(layer) * toy.planted_direction(layer) for layer in layers]).astype(np.float32)
    told = header("persona vectors", model=spec or toy.spec, made_from={}, settings={"seed": 0})
    told |= {"trait": {"name": name, "high": "bright", "low": "dull"}, "chosen_layer": 7}
    percentiles = {"25": -1.0, "75": 1.0}
    told |= {"layers": {str(k): {"residual_norm": 5.0, "projection_percentiles": percentiles} for k in layers}}
    path = folder / f"toy_{name}_vectors.npz"
    write_vectors(path, Vectors(layers, raw, told))
    analysis = {"kind": "separation", "made_from": {"vectors": sha256(path)}, "steering": steering}
    write_json(folder / f"toy_{name}_analysis.json", analysis)
    return path


@pytest.fixture
def vectors(tmp_path):
    return write_planted(tmp_path, "evil", steering={"layer": 7, "safe": [-0.3, 0.5], "layers": [{"layer": 7}]})


@pytest.fixture
def run(monkeypatch, capsys):
    """Runs a command in this process: exit code, what it printed, and its errors."""

    def run(*arguments, stdin="", width=200):
        monkeypatch.setattr(sys, "argv", ["personascope", *map(str, arguments)])
        monkeypatch.setattr(sys, "stdin", io.StringIO(stdin))
        monkeypatch.setenv("COLUMNS", str(width))
        with pytest.raises(SystemExit) as stop:
            run_command(app)
            sys.exit(0)
        shown = capsys.readouterr()
        return stop.value.code or 0, shown.out, shown.err

    return run


def steer_json(run, vectors, *arguments):
    code, out, err = run("steer", "toy", "--vectors", vectors, "--json", *arguments)
    assert code == 0, err
    return json.loads(out)


def test_strengths_stand_side_by_side_with_rho_and_a_mark_where_unsafe(run, vectors):
    code, out, _ = run("steer", "toy", "--vectors", vectors, "--prompt", "Tell me of the [b]town[/b].")
    assert code == 0
    head = next(line for line in out.splitlines() if "rho +0.20" in line and "rho −0.40" in line)
    assert [head.index(text) for text in ("−2.0", "−1.0", "0.0", "+1.0", "+2.0")] == sorted(
        head.index(text) for text in ("−2.0", "−1.0", "0.0", "+1.0", "+2.0")
    )
    assert "rho −0.40  !" in head and "rho −0.20  !" not in head
    assert "Prompt: Tell me of the [b]town[/b]." in out
    measures = [line.split() for line in out.splitlines() if line.strip().startswith(("−2.0   ", "+1.0   "))]
    assert [len(line) for line in measures] == [6, 6]
    assert "! Strength −2.0 lies outside the safe range −1.5 .. +2.5 (rho −0.30 .. +0.50): text may break." in out
    assert "layer 7 (where it moves replies most at equal cost)" in out


def test_in_a_narrow_terminal_strengths_stand_one_below_the_other(run, vectors):
    _, out, _ = run("steer", "toy", "--vectors", vectors, "--prompt", "Hi", width=80)
    starts = [line.strip()[:4] for line in out.splitlines() if line.strip().startswith(("−2.0  ", "0.0  ", "+2.0  "))]
    assert starts[:3] == ["−2.0", "0.0 ", "+2.0"]
    assert max(len(line) for line in out.splitlines() if "Strength 1" not in line and "!" not in line) <= 100


def test_json_holds_everything_in_one_object(run, vectors):
    told = steer_json(run, vectors, "--prompt", "One", "--prompt", "Two", "--strengths", "-1, 0.5", "--seed", "3")
    assert told["kind"] == "steered replies" and told["model"]["name"] == "toy"
    assert told["made_from"] == {str(vectors): sha256(vectors)}
    assert told["settings"]["layers"] == [7] and told["settings"]["seed"] == 3 and told["safe_rho"] == [-0.3, 0.5]
    assert [(dose["strength"], round(dose["rho"], 6), dose["safe"]) for dose in told["doses"]] == [
        (-1.0, -0.2, True),
        (0.5, 0.1, True),
    ]
    assert [one["prompt"] for one in told["prompts"]] == ["One", "Two"]
    for one in told["prompts"]:
        for reply in one["replies"]:
            assert reply["text"] and reply["perplexity"] > 1 and {"distinct_2", "repetition", "words"} <= set(reply)


def test_the_middle_is_the_unsteered_reply_and_seed_and_length_are_as_asked(run, vectors):
    told = steer_json(run, vectors, "--prompt", "Hi", "--strengths", "-6 0 6", "--seed", "4", "--max-tokens", "9")
    texts = [reply["text"] for reply in told["prompts"][0]["replies"]]
    toy = toy_for(load_trait("evil"))
    (plain,) = toy.generate([Chat("Hi", raw=True)], Sampling(9, 0.7), seeds=[4]).replies
    assert texts[1] == plain.text
    assert ToyModel().leaning(texts[0]) < ToyModel().leaning(texts[2])


def test_negative_strengths_parse_in_every_form(run, vectors):
    for given in (["--strengths", "-2"], ["--strengths=-2"], ["--strengths", "−2"]):
        assert [dose["strength"] for dose in steer_json(run, vectors, "--prompt", "Hi", *given)["doses"]] == [-2.0]
    for given in (["-2", "-1", "0", ".5", "+2e0"], ["-2 -1 0 0.5 2"], ["-2,-1", "0", "0.5 2"]):
        told = steer_json(run, vectors, "--strengths", *given, "--prompt", "Hi")
        assert [dose["strength"] for dose in told["doses"]] == [-2.0, -1.0, 0.0, 0.5, 2.0]


def test_unquoted_strengths_end_where_the_model_or_an_option_comes(run, vectors):
    code, out, err = run("steer", "--vectors", vectors, "--json", "--prompt", "-1", "--strengths", "-1", "0", "toy")
    assert code == 0, err
    told = json.loads(out)
    assert [dose["strength"] for dose in told["doses"]] == [-1.0, 0.0] and told["prompts"][0]["prompt"] == "-1"
    code, out, err = run("steer", "toy", "--vectors", vectors, "--strengths", "1", "-x", "--prompt", "Hi")
    assert code == 2 and "No such option" in err and out == ""


def test_only_numbers_right_after_the_option_are_joined():
    assert numbers_joined(["a", "--s", "-2", "3", "b", "-4"], "--s") == ["a", "--s=-2 3", "b", "-4"]
    assert numbers_joined(["--s", "much", "1"], "--s") == ["--s", "much", "1"]
    assert numbers_joined(["--s=1", "2", "--t=a=b", "--s"], "--s") == ["--s=1 2", "--t=a=b", "--s"]
    assert numbers_joined(["--t", "1", "2", "--", "--s", "1", "2"], "--s") == ["--t", "1", "2", "--", "--s", "1", "2"]


def test_help_has_the_options_under_headings(run):
    code, out, _ = run("steer", "--help")
    parts = re.split(r"^(\S.*):$", out, flags=re.MULTILINE)
    named = dict(zip(parts[1::2], parts[2::2], strict=True))
    assert list(named) == ["Arguments", "Vectors and dose", "Prompts and replies", "Model", "Output"] and code == 0
    told = {heading: re.findall(r"^  (--[a-z-]+)", part, re.MULTILINE) for heading, part in named.items()}
    assert told["Vectors and dose"][:3] == ["--vectors", "--also", "--strengths"]
    assert {"--prompt", "--interactive", "--max-tokens", "--seed", "--raw"} <= set(told["Prompts and replies"])
    assert told["Model"] == ["--dtype", "--trust-remote-code", "--quantize"]
    assert {"--json", "--help"} <= set(told["Output"])


def test_the_version_is_told_and_verbs_run_where_types_are_checked(run, vectors):
    code, out, _ = run("--version")
    assert code == 0 and out == f"personascope {personascope.__version__}\n"
    assert run("steer", "toy", "--vectors", vectors, "--prompt", "Hi", "--strengths", "0")[0] == 0


@pytest.mark.parametrize(
    ("arguments", "strength"),
    [(["--unit", "norm"], 2.0), (["--unit", "unit-vector"], 0.4), (["--layer", "8"], 0.4)],
)
def test_a_dose_may_be_given_in_other_units_and_at_another_layer(run, vectors, arguments, strength):
    told = steer_json(run, vectors, "--prompt", "Hi", "--strengths", "0.4", *arguments)
    assert told["doses"][0]["strength"] == pytest.approx(strength)
    if "--layer" in arguments:
        assert told["settings"]["layers"] == [8] and told["safe_rho"] is None
        assert any("measured at layer 7 alone" in note for note in told["notes"])


def test_each_unit_has_strengths_of_its_own(run, vectors):
    told = steer_json(run, vectors, "--prompt", "Hi", "--unit", "norm")
    assert [dose["rho"] for dose in told["doses"]] == pytest.approx([-0.2, -0.1, 0.0, 0.1, 0.2])
    for unit, asked, lead in (
        ("norm", (), "+0.5 rho +0.10>"),
        ("unit-vector", ("0", "-2", "0.4", "3"), "+0.4 rho +0.08>"),
    ):
        strengths = ("--strengths", *asked) if asked else ()
        arguments = ("--interactive", "--unit", unit, *strengths)
        code, out, err = run("steer", "toy", "--vectors", vectors, *arguments, stdin="/quit\n")
        assert code == 0 and f"evil L7 {lead}" in out, err


def test_all_layers_several_layers_and_other_modes(run, vectors):
    assert steer_json(run, vectors, "--prompt", "Hi", "--layer", "all")["settings"]["every_layer"] is True
    assert steer_json(run, vectors, "--prompt", "Hi", "--layer", "5-7")["settings"]["layers"] == [5, 6, 7]
    for mode in ("ablate", "cap", "floor"):
        told = steer_json(run, vectors, "--prompt", "Hi", "--mode", mode)
        assert [(dose["strength"], dose["rho"]) for dose in told["doses"]] == [(0.0, None), (1.0, None)]


def test_without_prompts_the_traits_own_openers_are_used_and_it_says_so(run, vectors, tmp_path):
    _, out, _ = run("steer", "toy", "--vectors", vectors, "--strengths", "1")
    assert "No prompt was given: these are evil's own sentence openers." in out
    assert all(f"Prompt: {opener}" in out for opener in load_trait("evil").openers)
    told = steer_json(run, vectors, "--strengths", "1")
    assert "No prompt was given: these are evil's own sentence openers." in told["notes"]
    assert not any("No prompt" in note for note in steer_json(run, vectors, "--prompt", "Hi")["notes"])
    assert f"All {len(load_trait('evil').openers)} prompts" in out


def test_for_a_trait_of_ones_own_the_prompts_are_neutral(run, tmp_path):
    path = write_planted(tmp_path, "evil")
    renamed = tmp_path / "mine_vectors.npz"
    with np.load(path) as arrays:
        told = json.loads(str(arrays["metadata"]))
        told["trait"]["name"], told["model"]["revision"] = "charm", ToyModel().spec.revision
        np.savez(renamed, **{**arrays, "metadata": np.array(json.dumps(told))})
    code, out, _ = run("steer", "toy", "--vectors", renamed, "--strengths", "1")
    assert code == 0 and "neutral requests (charm is no trait of the catalogue)" in out


def test_prompts_come_from_a_file_one_a_line(run, vectors, tmp_path):
    (tmp_path / "p.txt").write_text("\ufeffFirst\n\n  Second \r\n", encoding="utf-8")
    told = steer_json(run, vectors, "--prompts", tmp_path / "p.txt")
    assert [one["prompt"] for one in told["prompts"]] == ["First", "Second"]


def test_another_trait_is_held_at_its_strength(run, vectors, tmp_path):
    other = write_planted(tmp_path, "openness")
    held = steer_json(run, vectors, "--prompt", "Hi", "--strengths", "-3", "--also", f"{other}:3")
    plain = steer_json(run, vectors, "--prompt", "Hi", "--strengths", "0")
    assert held["prompts"][0]["replies"][0]["text"] == plain["prompts"][0]["replies"][0]["text"]
    assert held["settings"]["held"] == {"openness": 3.0} and len(held["made_from"]) == 2
    assert plain["held_cosines"] is None
    assert held["held_cosines"] == {
        "layer": 7,
        "by_trait": {"openness": pytest.approx(1.0)},
        "chance_sd": pytest.approx(toy_for(load_trait("evil")).spec.width ** -0.5),
    }


def test_a_held_traits_cosine_with_the_turned_one_is_told(run, vectors, tmp_path):
    other = write_planted(tmp_path, "openness")
    _, out, _ = run("steer", "toy", "--vectors", vectors, "--prompt", "Hi", "--strengths", "1", "--also", f"{other}:-1")
    (line,) = (line for line in out.splitlines() if line.startswith("openness is held at"))
    assert "; cosine with evil at layer 7: +1.00 (random directions: 0 ± 0." in line
    with np.load(other) as arrays:
        told = json.loads(str(arrays["metadata"]))
        told["layers"] = {"8": told["layers"]["8"]}
        told["chosen_layer"] = 8
        np.savez(other, **{**arrays, "metadata": np.array(json.dumps(told))})
    told = steer_json(run, vectors, "--prompt", "Hi", "--strengths", "1", "--also", f"{other}:-1")
    assert told["held_cosines"]["by_trait"] == {"openness": None}
    _, out, _ = run("steer", "toy", "--vectors", vectors, "--prompt", "Hi", "--strengths", "1", "--also", f"{other}:-1")
    assert "its file has no layer 7 to compare with evil" in out


def test_two_files_of_one_trait_are_told_apart(run, vectors, tmp_path):
    (tmp_path / "second").mkdir()
    other = write_planted(tmp_path / "second", "evil")
    told = steer_json(run, vectors, "--prompt", "Hi", "--also", f"{other}:-1")
    assert told["settings"]["held"] == {"evil-2": -1.0}
    asked = ("--vectors", vectors, "--also", f"{other}:-1", "--interactive")
    _, out, _ = run("steer", "toy", *asked, stdin="/trait evil-2\n/quit\n")
    assert out.count(load_trait("evil").openers[0]) == 2


def test_what_is_held_is_told_in_gaps_and_rho_whatever_the_unit(run, vectors, tmp_path):
    other = write_planted(tmp_path, "openness")
    asked = ("steer", "toy", "--vectors", vectors, "--unit", "norm", "--also", f"{other}:0.1")
    _, out, _ = run(*asked, "--strengths", "0", "--prompt", "Hi")
    assert "openness is held at +0.5 (rho +0.10), layer 7 (" in out
    lines = ["Hi", f"/save {tmp_path}/t.jsonl", "/quit"]
    _, out, _ = run(*asked, "--interactive", stdin="\n".join(lines))
    assert "evil L7 +0.5 rho +0.10, openness +0.5 rho +0.10> " in out
    assert json.loads((tmp_path / "t.jsonl").read_text())["held"] == {"openness": pytest.approx(0.5)}


def test_the_safe_range_is_told_to_be_that_of_one_vector_where_something_is_held(run, vectors, tmp_path):
    other = write_planted(tmp_path, "openness")
    alone = "that of one vector alone"
    for strength, expected in ((3, True), (0, False)):
        told = steer_json(run, vectors, "--prompt", "Hi", "--also", f"{other}:{strength}")
        assert any(alone in note for note in told["notes"]) is expected
    uncalibrated = ("steer", "toy", "--vectors", other, "--also", f"{vectors}:1", "--prompt", "Hi", "--strengths", "0")
    assert alone not in run(*uncalibrated)[1]
    lines = ["/trait openness", "/trait evil", "/strength 0", "/trait openness", "/quit"]
    asked = ("steer", "toy", "--vectors", vectors, "--also", other, "--interactive")
    assert run(*asked, stdin="\n".join(lines))[1].count(alone) == 0
    lines = ["/trait openness", "/strength 1", "/trait evil", "/quit"]
    assert run(*asked, stdin="\n".join(lines))[1].count(alone) == 1


def test_layers_that_are_not_neighbours_are_told_one_by_one(run, vectors):
    for layers, told in (("5,7", "L5,7 "), ("5-7", "L5-7 "), ("5,6,8", "L5-6,8 ")):
        asked = ("--interactive", "--layer", layers)
        assert f"evil {told}" in run("steer", "toy", "--vectors", vectors, *asked, stdin="/quit\n")[1]


def test_calibrate_measures_the_safe_range_and_keeps_it(run, tmp_path):
    path = write_planted(tmp_path, "evil")
    first = steer_json(run, path, "--prompt", "Hi", "--calibrate")
    kept = json.loads((tmp_path / "toy_evil_analysis.json").read_text())["steering"]
    assert kept["safe"] == first["safe_rho"] and kept["layer"] == first["settings"]["layers"][0]
    assert len(kept["costs"]) > 5 and any("Calibrated" in note for note in first["notes"])
    again = steer_json(run, path, "--prompt", "Hi")
    assert again["safe_rho"] == kept["safe"] and not any("Calibrated" in note for note in again["notes"])
    assert kept["layers"] == []  # no replies of both poles lie beside the file
    assert first["settings"]["why"] == again["settings"]["why"] == "where it reads best"


def test_a_calibrated_file_of_the_original_scripts_is_not_said_to_read_best(run, tmp_path):
    toy = toy_for(load_trait("evil"))
    arrays = {f"layer_{k}": (toy.gap(k) * toy.planted_direction(k)).astype(np.float32) for k in (5, 6, 7)}
    np.savez(tmp_path / "persona_vectors_evil.npz", **arrays)
    told = steer_json(run, tmp_path / "persona_vectors_evil.npz", "--prompt", "Hi", "--calibrate")
    assert told["settings"]["why"] == "nearest to depth 0.6"


@pytest.mark.parametrize(
    ("arguments", "found"),
    [
        (["--strengths", "nan"], "'nan' is no strength"),
        (["--strengths", "1 inf"], "'inf' is no strength"),
        (["--strengths", "much"], "'much' is no strength"),
        (["--strengths", " "], "no strength is given"),
        (["--strengths", "1 1.0"], "stands twice"),
        (["--unit", "grams"], "no unit 'grams'"),
        (["--mode", "subtract"], "no mode 'subtract'"),
        (["--positions", "end"], "no positions 'end'"),
        (["--layer", "11"], "no layer 11"),
        (["--layer", "x"], "names no layers"),
        (["--layer", "layer_x"], "names no layer"),
        (["--prompt", " "], "a prompt is empty"),
        (["--prompt", "Hi", "--interactive"], "more than one way"),
        (["--prompt", "Hi", "--prompts", "p.txt"], "more than one way"),
        (["--prompts", "p.txt", "--interactive"], "more than one way"),
        (["--prompts", "none.txt"], "none.txt cannot be read (no such file)"),
        (["--interactive", "--json"], "no JSON"),
        (["--interactive", "--judge-url", "http://h/v1"], "a conversation has no judge"),
        (["--judge-model", "mine"], "names a model but no endpoint"),
        (["--judge-url", "h/v1"], "does not begin with http"),
        (["--also", "other.npz"], "has no strength"),
        (["--also", "other.npz:1"], "no file other.npz"),
        (["--also", "other.npz:inf"], "'inf' is no strength"),
        (["--mode", "ablate", "--unit", "norm"], "has no dose"),
        (["--unit", "unit-vector"], "no strengths are given"),
        (["--unit", "unit-vector", "--interactive"], "no strengths are given"),
        (["--layer", "all", "--mode", "cap"], "by adding"),
        (["--dtype", "int3"], "no precision"),
    ],
)
def test_a_mistake_is_one_line_and_a_hint_exits_2_and_writes_nothing(run, vectors, monkeypatch, arguments, found):
    def never(*_args, **_asked):
        pytest.fail("something was generated")

    monkeypatch.setattr(ToyModel, "generate", never)
    model = "smollm2-135m" if "--dtype" in arguments else "toy"
    code, out, err = run("steer", model, "--vectors", vectors, *arguments)
    assert code == 2 and found in err and "hint: " in err and "Traceback" not in err
    assert out == ""


def test_an_empty_prompt_file_a_missing_vectors_file_and_one_of_another_model(run, vectors, tmp_path):
    (tmp_path / "empty.txt").write_text("\n \n")
    assert "holds no prompt" in run("steer", "toy", "--vectors", vectors, "--prompts", tmp_path / "empty.txt")[2]
    code, _, err = run("steer", "toy", "--vectors", tmp_path / "none.npz")
    assert code == 2 and "there is no file" in err
    other = write_planted(tmp_path, "openness", spec=tiny_models.engine("llama").spec)
    code, _, err = run("steer", "toy", "--vectors", other)
    assert code == 2 and "tiny-llama" in err


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


def test_strengths_and_files_are_read_from_text():
    assert parse_strengths("-2 -1,0 1.5", "add", "gap") == (-2.0, -1.0, 0.0, 1.5)
    assert parse_strengths(None, "add", "gap") == (-2.0, -1.0, 0.0, 1.0, 2.0)
    assert parse_strengths(None, "cap", "gap") == (0.0, 1.0)
    assert parse_also("a/b.npz:-0.5") == (Path("a/b.npz"), -0.5)
    assert parse_also("c:b.npz") == (Path("c:b.npz"), None)
    with pytest.raises(SteeringError):
        parse_also("b.npz:nan")


def test_a_conversation_works_without_a_terminal(run, vectors, tmp_path):
    other = write_planted(tmp_path, "openness")
    lines = [
        "2", "Hello there", "", "/strength 3", "/compare -1 1", "/layer 8", "/layer 3", "/strength x", "/nonsense",
        "/trait openness", "/trait charm", "/strength -1", "/seed 5", "/seed x", "7777", f"/save {tmp_path}/t.jsonl",
        f"/save {tmp_path}/t.jsonl", f"/save {other}", "/help", "/quit", "unheard",
    ]  # fmt: skip
    code, out, err = run("steer", "toy", "--vectors", vectors, "--also", other, "--interactive", stdin="\n".join(lines))
    assert code == 0
    said = [json.loads(line) for line in (tmp_path / "t.jsonl").read_text().splitlines()]
    opener = load_trait("evil").openers[1]
    assert [one["prompt"] for one in said] == [opener, "Hello there", "Hello there", "Hello there", "7777"]
    assert [(one["trait"], one["strength"], one["seed"]) for one in said] == [
        ("evil", 1.0, 0), ("evil", 1.0, 0), ("evil", -1.0, 0), ("evil", 1.0, 0), ("openness", -1.0, 5),
    ]  # fmt: skip
    assert said[-1]["held"] == {"evil": 3.0}
    assert "evil L7 +1.0 rho +0.20> 2" in out and "evil L7 +3.0 rho +0.60 !> /compare" in out
    assert "openness L7 −1.0 rho −0.20, evil +3.0 rho +0.44> " in out  # evil was moved to layer 8
    assert "Strength +3.0 lies outside the safe range" in out and out.count("5 replies saved to") == 2
    assert all(one["reply"].split()[0] in out for one in said) and "unheard" not in out
    for mistake in ("has no layer 3", "'x' is no strength", "no command /nonsense", "no trait 'charm'", "no seed",
                    "is there already"):  # fmt: skip
        assert mistake in err


def test_end_of_input_ends_a_conversation(run, vectors):
    assert run("steer", "toy", "--vectors", vectors, "--interactive", stdin="/compare\n")[0] == 0


def test_a_reply_stopped_by_ctrl_c_leaves_the_model_as_it_was(monkeypatch, capsys):
    engine = tiny_models.engine("llama")
    model = steered_tiny(engine)
    lines = iter(["Go on", "Go on", "/quit"])
    monkeypatch.setattr(interactive, "reader", lambda: lambda lead: next(lines))
    grown = []

    def stop_once(self, text):
        grown.append(text)
        if len(grown) == 3:
            raise KeyboardInterrupt
        return growing(self, text)

    growing = Written.grow
    monkeypatch.setattr(Written, "grow", stop_once)
    hooks = sum(len(module._forward_hooks) for module in engine._loaded.model.modules())
    talk(model, Asking(None, (0.0,), Sampling(40, 1.0), seed=3))
    assert hooks == sum(len(module._forward_hooks) for module in engine._loaded.model.modules())
    out = capsys.readouterr().out
    assert out.count("(stopped)") == 1 and len(grown) > 3


def test_ctrl_c_while_strengths_are_compared_leaves_what_was_said(monkeypatch, capsys, tmp_path):
    lines = iter(["Go on", "/compare", "Go on", f"/save {tmp_path / 't.jsonl'}", "/quit"])
    monkeypatch.setattr(interactive, "reader", lambda: lambda lead: next(lines))

    def stop(*_args, **_asked):
        raise KeyboardInterrupt

    monkeypatch.setattr(interactive, "swept", stop)
    talk(steered_tiny(tiny_models.engine("llama")), Asking(None, (0.0,), Sampling(8, 1.0), seed=3))
    assert capsys.readouterr().out.count("(stopped)") == 1
    assert len((tmp_path / "t.jsonl").read_text().splitlines()) == 2


def steered_tiny(engine, max_layers=4):
    raw = np.random.default_rng(0).standard_normal((max_layers, tiny_models.WIDTH)).astype(np.float32)
    told = header("persona vectors", model=engine.spec, made_from={}, settings={"seed": 0})
    told |= {"trait": {"name": "evil", "high": "evil", "low": "kind"}, "chosen_layer": 1}
    told |= {"layers": {str(k): {"residual_norm": 5.0} for k in range(max_layers)}}
    vectors = Vectors(tuple(range(max_layers)), raw, told)
    turned = Turned(Path("x_vectors.npz"), Dial(vectors, (1,)), Advice(1, "for a test"))
    return SteeredModel(engine, {"evil": turned}, {}, ())


def test_a_reply_on_the_screen_grows_without_half_characters(capsys):
    written = Written()
    for text in ("  a", "  a caf\ufffd", "  a café", "  a café is"):
        written.grow(text)
    written.end(Reply("  a café is here", 4, ended=False))
    assert capsys.readouterr().out == "a café is here …\n"


def take_terminal():
    """Make the pseudo-terminal the controlling one, so that Ctrl-C reaches the program."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    os.close(os.open(os.ttyname(0), os.O_RDWR))


class Terminal:
    """A program in a pseudo-terminal."""

    def __init__(self, *command, folder):
        self.end, other = pty.openpty()
        self.seen, self.past = "", 0
        self.running = subprocess.Popen(
            [sys.executable, *map(str, command)],
            stdin=other,
            stdout=other,
            stderr=other,
            cwd=ROOT,
            start_new_session=True,
            env={
                **os.environ,
                "PERSONASCOPE_CACHE": str(folder / "cache"),
                "PROMPT_TOOLKIT_NO_CPR": "1",
                "TERM": "xterm",
                "COLUMNS": "120",
                "OMP_NUM_THREADS": "1",
            },
            preexec_fn=take_terminal,
        )
        os.close(other)

    def until(self, text, seconds=120):
        """Read until a text comes after the one that was waited for last."""
        deadline = time.monotonic() + seconds
        while text not in self.seen[self.past :]:
            assert time.monotonic() < deadline, self.seen
            if select.select([self.end], [], [], 1)[0]:
                try:
                    self.seen += os.read(self.end, 65536).decode(errors="replace")
                except OSError:
                    pytest.fail(f"the program ended: {self.seen}")
        self.past = self.seen.index(text, self.past) + len(text)

    def type(self, text):
        os.write(self.end, text.encode())

    def code(self):
        return self.running.wait(timeout=60)


@pytest.fixture
def terminal(tmp_path):
    """Starts a program in a pseudo-terminal, and ends it with the test."""
    opened = []

    def start(*command):
        opened.append(Terminal(*command, folder=tmp_path))
        return opened[-1]

    yield start
    for one in opened:
        one.running.kill()
        one.running.wait()
        os.close(one.end)


def test_a_conversation_in_a_terminal_with_history_and_ctrl_c_and_ctrl_d(terminal, vectors, tmp_path):
    toy = toy_for(load_trait("evil"))
    dose = Dial(read_vectors(vectors), (7,)).at(-1.5).steered
    ((reply,),) = steered_replies(toy, [Chat("Tell me of the town", raw=True)], [dose], Sampling(100, 0.7), seed=0)
    screen = terminal("-m", "personascope", "steer", "toy", "--vectors", vectors, "--interactive")
    screen.until("evil L7 +1.0 rho +0.20>")
    screen.type("/strength -1.5\r")
    screen.until("evil L7 −1.5 rho −0.30>")
    screen.type("Tell me of the town\r")
    screen.until(reply.text)
    screen.until("evil L7 −1.5 rho −0.30>")
    screen.type("half a line\x03")
    screen.until("(Ctrl-D or /quit ends)")
    screen.type("\x1b[A\r")
    screen.until("Tell me of the town")
    screen.until(reply.text)
    screen.until("evil L7 −1.5 rho −0.30>")
    screen.type("\x04")
    assert screen.code() == 0
    assert "+Tell me of the town" in (tmp_path / "cache" / "history").read_text()


SLOW_TALK = """
import sys, time
sys.path[:0] = ["tests", "tests/unit"]
import tiny_models, test_steer_cli
from personascope.cli.interactive import talk
from personascope.cli.steering_options import Asking
from personascope.models.protocols import Sampling
engine = tiny_models.engine("gpt2")
write = engine.generate
def slowly(*args, **asked):
    def listen(row, text):
        heard(row, "first words")
        time.sleep(60)
    heard, asked["listen"] = asked["listen"], listen
    return write(*args, **asked)
engine.generate = slowly
talk(test_steer_cli.steered_tiny(engine), Asking(("x",), (0.0,), Sampling(300, 1.0), seed=2))
"""


def test_ctrl_c_in_a_terminal_stops_the_reply_and_not_the_conversation(terminal):
    screen = terminal("-c", SLOW_TALK)
    screen.until("evil L1")
    screen.type("Go on\r")
    screen.until("first words")
    screen.type("\x03")
    screen.until("(stopped)")
    screen.until("evil L1")
    screen.type("/quit\r")
    assert screen.code() == 0


@pytest.fixture
def script(monkeypatch, capsys, tmp_path):
    """Runs persona_steering.py in this process, in an empty folder."""
    monkeypatch.syspath_prepend(str(ROOT))
    monkeypatch.chdir(tmp_path)

    def script(*arguments, stdin=""):
        import persona_steering

        monkeypatch.setattr(sys, "argv", ["persona_steering.py", "--model_name", "toy", *map(str, arguments)])
        monkeypatch.setattr(sys, "stdin", io.StringIO(stdin))
        code = 0
        try:
            persona_steering.main()
        except SystemExit as stop:
            code = stop.code
        shown = capsys.readouterr()
        return code, shown.out, shown.err

    return script


def test_the_originals_script_takes_its_flags(script, vectors, tmp_path):
    (tmp_path / "mine.txt").write_text("One\nTwo\n")
    flags = ["--vector_file", vectors, "--target_layer", "layer_8", "--batch_test", "--test_prompts", "mine.txt"]
    code, out, err = script(*flags, "--max_tokens", 5, "--steering_strengths", "-3", "0", "1.5")
    assert code == 0, err
    assert "Prompt: One" in out and "Prompt: Two" in out and "layer 8" in out and "−3.0" in out and "+1.5" in out


def test_the_originals_script_asks_one_prompt_where_nothing_else_is_said(script, vectors):
    code, out, _ = script("--vector_file", vectors, stdin="Where to?\n")
    assert code == 0 and "Prompt: Where to?" in out and "layer 7" in out
    assert script("--vector_file", vectors, stdin="")[0] == 2


def test_the_originals_script_has_prompts_of_its_own_and_talks(script, vectors):
    code, out, _ = script("--vector_file", vectors, "--batch_test")
    assert code == 0 and out.count("Prompt: ") == 5
    code, out, _ = script("--vector_file", vectors, "--interactive", stdin="1\n/quit\n")
    assert code == 0 and "evil L7" in out


def test_the_originals_script_reads_the_originals_files_and_never_steers_at_a_layer_that_is_not_there(script, tmp_path):
    toy = ToyModel()
    raw = {number: (toy.gap(number - 1) * toy.planted_direction(number - 1)).astype(np.float16) for number in (7, 8, 9)}
    arrays = {f"layer_{number}_vector": vector for number, vector in raw.items()}
    arrays |= {f"layer_{number}_vector_norm": vector / np.linalg.norm(vector) for number, vector in raw.items()}
    np.savez(tmp_path / "m_evil_vectors.npz", **arrays)
    (tmp_path / "best.json").write_text(json.dumps({"layer_7": {"auc": 0.7}, "layer_9": {"auc": 0.9}}))
    flags = ["--vector_file", "m_evil_vectors.npz", "--batch_test"]
    assert ", layer 8 (highest AUC in best.json" in script(*flags, "--analysis_file", "best.json")[1]
    code, out, _ = script(*flags, "--target_layer", "layer_8")
    assert code == 0 and ", layer 7" in out and "it is layer L-1 here" in out
    code, out, err = script(*flags, "--target_layer", "15")
    assert code == 2 and "no layer 14" in err and out == ""
    assert script(*flags, "--analysis_file", "none.json")[0] == 2
    assert script(*flags, "--max_tokens", "0")[0] == 2
