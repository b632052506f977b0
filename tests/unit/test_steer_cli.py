"""Strengths side by side as a user meets them: tables, JSON, units, layers, prompts, and traits that are held."""

import json
import re

import numpy as np
import pytest
from steer_runs import steer_json, write_planted

import personascope
from personascope.artifacts import sha256
from personascope.cli.steer_command import numbers_joined
from personascope.models.protocols import Chat, Sampling
from personascope.models.toy import ToyModel
from personascope.models.toys import toy_for
from personascope.traits import load_trait


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
    assert told["Model"] == ["--dtype", "--trust-remote-code", "--quantize", "--engine", "--tensor-parallel"]
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
