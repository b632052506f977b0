"""The profile as a user meets it: planted scores, tables, files, mistakes."""

import json
import subprocess
import sys

import pytest
import toy_items
import typer
from toy_items import OneLetter, planted_score, write_planted

from personascope.cli import profile_job
from personascope.cli.app import run as run_command
from personascope.cli.profile import profile
from personascope.cli.profile_job import Opening, run_profile
from personascope.cli.profile_options import Job, questionnaire_named
from personascope.models.toy import ToyModel

app = typer.Typer(pretty_exceptions_enable=False)
app.command(name="profile")(profile)
app.callback()(lambda: None)


@pytest.fixture
def undrawn(monkeypatch):
    """Pictures and pages take seconds; what is in them is tested with the charts."""
    for write in ("write_profile_picture", "write_profile_page"):
        monkeypatch.setattr(profile_job, write, lambda path, _found: path.touch())


@pytest.fixture
def run(undrawn, monkeypatch, capsys, tmp_path):
    """Runs a command in this process: exit code, what it printed, and its errors."""

    def run(*arguments, width=200):
        monkeypatch.setattr(sys, "argv", ["personascope", "profile", *map(str, arguments), "-o", str(tmp_path / "out")])
        monkeypatch.setenv("COLUMNS", str(width))
        with pytest.raises(SystemExit) as stop:
            run_command(app)
            sys.exit(0)
        shown = capsys.readouterr()
        return stop.value.code or 0, shown.out, shown.err

    return run


@pytest.fixture
def items(tmp_path):
    """A file with three traits; the high options of `gloom` are the dull ones."""
    rows = [*toy_items.rows("sunniness"), *toy_items.rows("gloom", turned=True), *toy_items.rows("warmth")]
    path = tmp_path / "mine.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


def test_a_picture_and_a_page_are_drawn(items, tmp_path):
    job = Job(("toy",), questionnaire_named(str(items), "warmth", None), "text", None, tmp_path, 0)
    run_profile(job, Opening("auto", trust_remote_code=False), json_output=False)
    assert (tmp_path / "toy_profile.png").read_bytes().startswith(b"\x89PNG")
    assert "Profile of toy" in (tmp_path / "toy_profile.html").read_text(encoding="utf-8")


def profile_json(run, *arguments):
    code, out, err = run(*arguments, "--json")
    assert code == 0, err
    return json.loads(out)


def test_a_toy_without_leaning_prefers_no_pole(run, items, tmp_path):
    told = profile_json(run, "toy", "--items", items)
    assert told["kind"] == "profile" and told["settings"]["way"] == "text"
    assert {trait: score["p_high"]["value"] for trait, score in told["scores"].items()} == pytest.approx(
        {"sunniness": 0.5, "gloom": 0.5, "warmth": 0.5}
    )
    assert json.loads((tmp_path / "out" / "toy_profile.json").read_text(encoding="utf-8")) == told
    assert {path.name for path in (tmp_path / "out").iterdir()} == {
        f"toy_profile.{end}" for end in ("json", "png", "html")
    }


@pytest.mark.parametrize("strength", [1.0, -0.5])
def test_steering_gives_the_planted_score_and_its_change(run, items, tmp_path, strength):
    vectors = write_planted(tmp_path)
    told = profile_json(run, "toy", "--items", items, "--vectors", vectors, "--strength", strength)
    plain, steered = told["profiles"]
    assert plain["steering"] is None and plain["scores"]["sunniness"]["p_high"]["value"] == pytest.approx(0.5)
    assert steered["steering"]["layers"] == [toy_items.LAYER] and steered["steering"]["strength"] == strength
    found = {trait: score["p_high"]["value"] for trait, score in steered["scores"].items()}
    expected = planted_score(strength)
    assert found == pytest.approx({"sunniness": expected, "gloom": 1 - expected, "warmth": expected}, abs=1e-5)
    change = told["changes"][0]["by_trait"]["sunniness"]
    assert change["value"] == pytest.approx(expected - 0.5, abs=1e-5)
    assert (change["low"] > 0) == (strength > 0) and change["low"] < change["high"]
    assert (tmp_path / "out" / "toy_evil_profile.html").exists()


def test_the_steered_model_is_told_beside_the_plain_one(run, items, tmp_path):
    vectors = write_planted(tmp_path)
    code, out, err = run("toy", "--items", items, "--vectors", vectors, "--strength", "-1")
    assert code == 0, err
    assert "toy at evil −1.0" in out and "Sunniness leans to the low pole: P(high) 0." in out
    assert f"toy at evil −1.0 (rho −{ToyModel().gap(toy_items.LAYER) / 5.0:.2f}) against toy:" in out
    assert "Sunniness is lower: −0." in out and "Gloom is higher: +0." in out
    row = next(line for line in out.splitlines() if line.strip().startswith("sunniness"))
    assert "16/8" in row and row.split()[-1] == "low"


def test_what_stands_below_the_table(run, items):
    code, out, _ = run("toy", "--items", items)
    assert code == 0
    assert "Asked by the text of the options" in out and "its letters are not reliable" in out
    assert "Items of mine.jsonl (situations): 48 items of 24 statements, edition " in out
    assert "0.5 means no preference between the poles" in out
    assert "! The toy engine is no language model" in out
    assert "There is no interval for sunniness, gloom and warmth: all items have the same answer." in out


def test_in_a_narrow_terminal_no_number_is_cut(run, items, tmp_path):
    vectors = write_planted(tmp_path)
    _, out, _ = run("toy", "--items", items, "--vectors", vectors, "--strength", "1", width=80)
    table = [line for line in out.splitlines() if line.strip()[:9] in ("sunniness", "gloom    ", "warmth   ")]
    assert len(table) == 6 and "…" not in out
    assert max(len(line) for line in table) <= 80


def test_fewer_traits_and_items(run, items):
    told = profile_json(run, "toy", "--items", items, "--traits", "warmth, gloom", "--max-items", "5")
    assert list(told["scores"]) == ["gloom", "warmth"]
    assert told["scores"]["gloom"]["n_items"] == told["scores"]["gloom"]["n_statements"] == 5
    assert told["scores"]["gloom"]["p_high"]["low"] is None


@pytest.fixture
def engines(monkeypatch):
    """Models by name for `open_engine`."""
    known = {"toy": ToyModel(), "b": OneLetter("B", "b"), "silent": OneLetter("", "silent")}
    monkeypatch.setattr(profile_job, "open_engine", lambda name, *_, **__: known[name])
    return known


def test_two_models_are_compared_item_by_item(run, items, engines, tmp_path):
    told = profile_json(run, "toy", "b", "--items", items, "--ask", "letters")
    assert [one["label"] for one in told["profiles"]] == ["toy", "b"]
    assert told["changes"][0]["of"] == "b" and told["changes"][0]["against"] == "toy"
    assert (tmp_path / "out" / "profile.png").exists()
    code, out, _ = run("toy", "b", "--items", items, "--ask", "letters")
    assert code == 0 and "of b are not reliable" in out and "Profiles" not in out


def test_always_b_is_half_and_marked(run, items, engines):
    told = profile_json(run, "b", "--items", items, "--ask", "letters")
    for score in told["scores"].values():
        assert score["p_high"]["value"] == 0.5
        assert any("one place is favoured" in reason for reason in score["quality"]["reasons"])
    _, out, _ = run("b", "--items", items, "--ask", "letters")
    rows = [line.split() for line in out.splitlines() if line.strip().startswith(("sunniness ", "gloom ", "warmth "))]
    assert [row[-1] for row in rows] == ["!"] * 3
    assert "The scores for sunniness, gloom and warmth are not reliable: one place is favoured" in out
    assert "leans to the" not in out and "Nothing can be said of any trait" in out


def test_no_mass_is_never_high(run, items, engines):
    told = profile_json(run, "silent", "--items", items, "--ask", "letters")
    for score in told["scores"].values():
        assert score["p_high"]["value"] is None and score["chose_high"]["value"] is None
        assert "16 items have no answer" in score["quality"]["reasons"]
    code, out, _ = run("silent", "--items", items, "--ask", "letters")
    assert code == 0 and "leans to the" not in out


def test_models_are_asked_alike_where_one_cannot_answer_letters(run, items, engines):
    engines["able"] = AbleToy()
    alone = profile_json(run, "able", "--items", items)
    assert alone["settings"]["way"] == "letters"
    told = profile_json(run, "able", "toy", "--items", items)
    assert {one["settings"]["way"] for one in told["profiles"]} == {"text"}
    assert told["settings"]["why"] == (
        "models are compared only where all are asked alike, and the letters of toy are not reliable"
    )


class AbleToy(OneLetter):
    """Answers the letter under which the brightest option stands; by text like the silent one, but all alike."""

    def __init__(self):
        super().__init__("A", "able")

    def score(self, chats, replies, **settings):
        scores = super().score(chats, replies, **settings)
        for at, (chat, reply) in enumerate(zip(chats, replies, strict=True)):
            listed = dict(line.split(") ", 1) for line in chat.question.splitlines() if line[1:3] == ") ")
            right = max(
                listed, key=lambda letter: sum(word in toy_items.BRIGHT for word in listed[letter].split()), default=""
            )
            scores.logp[:, at] = 0.0 if not listed or reply.strip() == right else -30.0
        return scores


@pytest.mark.parametrize(
    ("arguments", "said", "hint"),
    [
        (["toy", "--traits", "opennes"], "no item of 'opennes'", "did you mean openness?"),
        (["toy", "--traits", " , "], "no trait is named", "openness"),
        (["toy", "--items", "gone.jsonl"], "gone.jsonl", "path"),
        (["toy", "--ask", "letter"], "no way of asking 'letter'", "did you mean letters?"),
        (["toy", "--strength", "1"], "--strength is given without vectors", "--vectors"),
        (["toy", "--layer", "3"], "--layer is given without vectors", "--vectors"),
        (["toy", "--vectors", "v.npz"], "--vectors is given without a strength", "--strength"),
        (["toy", "--vectors", "v.npz", "--strength", "0"], "strength 0", "another"),
        (["toy", "--vectors", "v.npz", "--strength", "much"], "'much' is no strength", "finite"),
        (["toy", "--vectors", "v.npz", "--strength", "1"], "no file v.npz", "extract"),
        (["toy", "--vectors", "v.npz", "--strength", "1", "--layer", "x"], "'x' names no layers", "15,16,17"),
        (["toy", "other", "--vectors", "v.npz", "--strength", "1"], "vectors are of one model", "one at a time"),
        (["toy", "toy"], "named twice", "each model once"),
        (["toy", "--traits", "openness", "--max-items", "1", "--dtype", "int3"], "no precision 'int3'", "float32"),
    ],
)  # fmt: skip
def test_mistakes_are_told_with_a_hint(run, arguments, said, hint):
    code, _, err = run(*arguments)
    assert code == 2 and said in err and hint in err.split("hint:")[1]


def test_a_way_that_does_not_fit_the_items_shows_before_a_model_is_opened(run, tmp_path):
    """The model does not exist: it would be the error if it were opened."""
    path = tmp_path / "scale.csv"
    path.write_text("trait,item,key\nopenness,Sing.,+\n", encoding="utf-8")
    code, _, err = run("no/model", "--items", path, "--ask", "published-1")
    assert code == 2 and "5 options cannot be asked by published-1" in err


def test_items_keyed_one_way_are_a_caution(run, tmp_path):
    path = tmp_path / "scale.csv"
    path.write_text("trait,item,key\nopenness,Sing.,+\nopenness,Paint.,+\n", encoding="utf-8")
    code, out, err = run("toy", "--items", path, "--ask", "text")
    assert code == 0, err
    assert "All items of openness are keyed one way" in out


def test_mistakes_show_before_torch_is_imported():
    code = (
        "import sys; sys.argv = ['personascope', 'profile', 'toy', '--traits', 'opennes']\n"
        "from personascope.cli import main\n"
        "try:\n    main()\nexcept SystemExit as stop:\n    sys.exit(10 * ('torch' in sys.modules) + stop.code)\n"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False, capture_output=True).returncode == 2
