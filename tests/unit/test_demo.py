"""The demo's menu as a newcomer meets it: Enter alone, broken answers, its end, failures, Ctrl-C."""

import builtins

import pytest
from demo_runs import FIRST, demo_runner, extract_line, recorded_lines, steer_line

from personascope.cli import demo_choices
from personascope.cli.demo_questions import DEFAULT_MODEL, SEVERAL
from personascope.cli.printing import Interrupted
from personascope.cli.steering_options import read_prompts
from personascope.models import default_model
from personascope.traits import load_trait


@pytest.fixture
def run(monkeypatch, capsys, tmp_path):
    return demo_runner(monkeypatch, capsys, tmp_path)


@pytest.fixture
def lines(monkeypatch):
    return recorded_lines(monkeypatch)


def test_enter_alone_leads_through_all_choices_and_out(run, lines):
    code, out, err = run(typed=[""] * 16)
    assert code == 0 and err == ""
    asked = {"model": DEFAULT_MODEL, "folder": "persona_demo"}
    assert lines == [
        extract_line("extraversion", **asked),
        steer_line("extraversion", **asked),
        extract_line(",".join(SEVERAL), **asked),
    ]
    assert out.count("PERSONASCOPE: ") == 5 and "FIVE STEPS" in out
    assert [f"Your choice [{n}]" in out for n in range(1, 6)] == [True] * 5
    made = out.partition("Made here:\n")[2].split()
    assert made == [
        *(
            f"persona_demo/{DEFAULT_MODEL}_{trait}_{what}"
            for trait in ("extraversion", "openness", "conscientiousness")
            for what in ("vectors.npz", "report.html")
        ),
        "test_prompts.txt",
    ]


def test_the_default_model_is_the_one_that_works_offline():
    assert default_model.NAME == DEFAULT_MODEL


def test_what_is_asked_of_the_model_and_where_files_go_is_told_before_it_runs(run, lines):
    _, out, _ = run(typed=[*FIRST, "5"])
    trait = load_trait("openness")
    pair = trait.instructions.extract[0]
    for text in (pair.high, pair.low, trait.questions.extract[0], "personascope traits show openness"):
        assert text in out
    assert "Files go to here/" in out and lines == [extract_line("openness"), steer_line("openness")]


def test_answers_stand_in_brackets_the_next_time(run, lines):
    _, out, _ = run(
        "--traits", "narcissism,neuroticism", typed=[*FIRST, "2", "", "evil,openness", "standard", "", "2", ""]
    )
    assert "Trait [narcissism]" in out and out.count("Traits [narcissism,neuroticism]") == 2
    assert "Model [toy]" in out and "Folder [here]" in out
    assert "Protocol [standard]" not in out  # evil failed: what was asked then is not kept


@pytest.mark.parametrize(
    ("typed", "told"),
    [
        (["0", "5"], "'0' is no choice.\nType a number from 1 to 5"),
        (["six", "5"], "'six' is no choice"),
        (["1", "smollm", *FIRST[1:], "5"], "did you mean smollm2-135m?"),
        (["1", "./nowhere", *FIRST[1:], "5"], "there is no folder ./nowhere"),
        (["1", "--help", *FIRST[1:], "5"], "'--help' is no model"),
        (["1", "toy", "oppenness", *FIRST[2:], "5"], "Did you mean openness?"),
        (["1", "toy", "openness", "quik", *FIRST[3:], "5"], "Did you mean quick? choose one of quick, standard, paper"),
        ([*FIRST[:4], "file.txt/folder", "here", "5"], "no files can be put in file.txt/folder"),
        (["2", "toy", "openness, charm", "openness", "", "", "5"], "there is no trait 'charm'"),
        (["2", "toy", ",", "openness", "", "", "5"], "no trait is named"),
        (["3", "", ".", "new.txt", "5"], ". cannot be written as a file"),
    ],
)
def test_a_broken_answer_is_told_and_asked_again(run, lines, tmp_path, typed, told):
    (tmp_path / "file.txt").write_text("")
    code, out, err = run(typed=typed)
    assert code == 0 and "That does not work: " in out and told.lower() in out.lower() and err == ""
    if typed[0] == "1":
        assert lines == [extract_line("openness"), steer_line("openness")]


def test_a_line_that_is_no_text_is_asked_again(run, lines, monkeypatch):
    answers = iter([UnicodeDecodeError("utf-8", b"\xff", 0, 1, "invalid"), "5"])

    def type_next(lead):
        answer = next(answers)
        if isinstance(answer, Exception):
            raise answer
        return answer

    monkeypatch.setattr(builtins, "input", type_next)
    code, out, _ = run()
    assert code == 0 and "cannot be read as text" in out


@pytest.mark.parametrize("word", ["q", "quit", "EXIT", "5.", "5)"])
def test_there_are_several_words_for_the_end(run, word):
    assert run(typed=[word, "1"])[0] == 0


@pytest.mark.parametrize("typed", [FIRST[:n] for n in range(len(FIRST))] + [["2"], ["3"], ["3", "evil"], ["9"]])
def test_the_end_of_input_ends_well_wherever_it_comes(run, lines, tmp_path, typed):
    code, out, err = run(typed=typed)
    assert code == 0 and err == "" and "Made here" not in out
    assert lines == [] and not list(tmp_path.iterdir())


def test_the_end_of_input_names_what_is_finished(run, lines):
    code, out, _ = run(typed=[*FIRST, "2"])
    assert code == 0 and out.endswith("Made here:\n  here/toy_openness_vectors.npz\n  here/toy_openness_report.html\n")


def test_a_failure_is_told_and_the_menu_comes_back_with_the_same_choice(run, lines):
    code, out, _ = run(typed=["1", "toy", "evil", "", "", "5"])
    assert code == 0 and lines == [extract_line("evil", folder="persona_demo")]
    assert "That did not work: nothing but silence.\nWhat to do: say something." in out
    assert out.count("Your choice [1]") == 2 and "Trait [extraversion]" in out


@pytest.mark.parametrize("typed", [[], ["1"], ["2", "toy"], ["3"]])
def test_ctrl_c_at_a_question_exits_130(run, lines, monkeypatch, typed):
    answers = iter(typed)

    def type_next(_lead):
        if (answer := next(answers, None)) is None:
            raise KeyboardInterrupt
        return answer

    monkeypatch.setattr(builtins, "input", type_next)
    code, _, err = run()
    assert code == 130 and "stopped; nothing was written" in err
    answers = iter([*FIRST, *typed])
    code, _, err = run()
    assert code == 130 and "stopped; finished: here/toy_openness_vectors.npz, here/toy_openness_report.html" in err


def test_ctrl_c_within_a_run_tells_what_it_left_and_what_was_finished_before(run, lines, monkeypatch):
    def stop(*arguments):
        if "narcissism" in arguments[3]:
            raise Interrupted("evil is finished; 7 of 80 replies are kept")
        return recorded(*arguments)

    recorded = demo_choices.run_line
    monkeypatch.setattr(demo_choices, "run_line", stop)
    code, _, err = run(typed=[*FIRST, "2", "", "neuroticism,narcissism", "", ""])
    told = "stopped; evil is finished; 7 of 80 replies are kept; finished: here/toy_openness_"
    assert code == 130 and told in err
    assert run("--choice", 2, "--model", "toy", "--traits", "narcissism")[2].startswith("\nstopped; evil is finished")


def test_without_a_terminal_the_menu_and_the_flags_to_give_are_told(run, lines):
    code, out, err = run(terminal=False, typed=["1"])
    assert code == 2 and "1  Quick demo" in out and "hint: say it with flags: personascope demo --choice 2" in err
    assert lines == []


def test_a_file_that_is_there_is_replaced_only_after_a_yes(run, tmp_path):
    (tmp_path / "mine.txt").write_text("mine")
    code, out, _ = run(typed=["3", "evil", "mine.txt", "", "new.txt", "5"])
    assert code == 0 and (tmp_path / "mine.txt").read_text() == "mine" and "mine.txt is there already." in out
    assert read_prompts(tmp_path / "new.txt") == load_trait("evil").openers
    run(typed=["3", "evil", "mine.txt", "perhaps", "Y", "3", "openness", "mine.txt", "n"])
    assert read_prompts(tmp_path / "mine.txt") == load_trait("evil").openers
