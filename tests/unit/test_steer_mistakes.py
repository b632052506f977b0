"""What is asked of steering and cannot be done is told in a line and a hint."""

from pathlib import Path

import pytest
import tiny_models
from steer_runs import write_planted

from personascope.cli.steering_options import parse_also, parse_strengths
from personascope.errors import SteeringError
from personascope.models.toy import ToyModel


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


def test_strengths_and_files_are_read_from_text():
    assert parse_strengths("-2 -1,0 1.5", "add", "gap") == (-2.0, -1.0, 0.0, 1.5)
    assert parse_strengths(None, "add", "gap") == (-2.0, -1.0, 0.0, 1.0, 2.0)
    assert parse_strengths(None, "cap", "gap") == (0.0, 1.0)
    assert parse_also("a/b.npz:-0.5") == (Path("a/b.npz"), -0.5)
    assert parse_also("c:b.npz") == (Path("c:b.npz"), None)
    with pytest.raises(SteeringError):
        parse_also("b.npz:nan")
