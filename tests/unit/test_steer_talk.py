"""A conversation with a steered model: its commands, and Ctrl-C while it speaks."""

import json

import tiny_models
from steer_runs import write_planted
from steered_tiny import steered_tiny

from personascope.cli import interactive
from personascope.cli.interactive import Written, talk
from personascope.cli.steering_options import Asking
from personascope.models.protocols import Reply, Sampling
from personascope.traits import load_trait


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


def test_a_reply_on_the_screen_grows_without_half_characters(capsys):
    written = Written()
    for text in ("  a", "  a caf\ufffd", "  a café", "  a café is"):
        written.grow(text)
    written.end(Reply("  a café is here", 4, ended=False))
    assert capsys.readouterr().out == "a café is here …\n"
