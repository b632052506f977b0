"""What steering costs in competence, and questions of two choices: the shipped ones and a user's."""

from dataclasses import asdict

import pytest
from planted_analysis import CHOICES
from planted_items import RISES, choices_file

from personascope.calibration import at_rho
from personascope.errors import ItemError
from personascope.models.toy import ToyModel
from personascope.questionnaire.damage import TwoChoice, choices_from_file, measure_damage, own_choices
from personascope.questionnaire.steered_scores import DOSES


def test_damage_at_dose_0_is_none_at_all(found):
    costs = found.vectors[RISES].damage
    plain = costs[DOSES.index(0.0)]
    assert [cost.rho for cost in costs] == list(DOSES)
    assert asdict(plain.nll_rise) == asdict(plain.accuracy_change) == {"value": 0.0, "low": 0.0, "high": 0.0}
    assert all(cost.perplexity >= plain.perplexity for cost in costs)


def test_a_choice_is_right_by_its_likelier_answer_and_a_tie_is_half(made):
    """Along the planted direction the sunny answer becomes the likelier one; equal answers stay a tie."""
    doses = {dose: (at_rho(made.vectors, 7, dose),) for dose in (-0.1, 0.1)}
    ((low, plain, high),) = measure_damage(ToyModel(), [doses], CHOICES, seed=0)
    assert (low.accuracy.value, plain.accuracy.value, high.accuracy.value) == (0.25, 0.5, 0.75)
    assert high.accuracy_change.value == pytest.approx(0.25)


def test_the_shipped_choices_are_whole():
    choices = own_choices()
    assert len(choices) >= 100 and len(set(choices)) == len(choices)
    assert all(choice.right != choice.wrong and choice.question for choice in choices)


def test_choices_of_a_file_in_ours_and_in_piqas_layout(tmp_path):
    ours = choices_from_file(choices_file(tmp_path))
    assert len(ours) == 6 and ours[0].wrong == "the day gloomy"
    piqa = tmp_path / "piqa.jsonl"
    piqa.write_text('{"goal": "g", "sol1": "a", "sol2": "b"}\n{"goal": "h", "sol1": "c", "sol2": "d"}\n')
    piqa.with_name("piqa_labels.txt").write_text("0\n1\n")
    assert choices_from_file(piqa) == (TwoChoice("g", "a", "b"), TwoChoice("h", "d", "c"))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "holds no choice"),
        ("{", "line 1"),
        ("[1]", "no JSON object"),
        ('{"question": "q", "right": "r"}', "'wrong'"),
        ('{"question": "q", "right": "r", "wrong": "w"}\n{"question": " ", "right": "r", "wrong": "w"}', "line 2"),
        ('{"goal": "g", "sol1": "a", "sol2": "b"}', "label 0 or 1"),
    ],
)
def test_a_file_that_holds_no_choices_is_refused(tmp_path, text, said):
    path = tmp_path / "choices.jsonl"
    path.write_text(text)
    with pytest.raises(ItemError, match=said):
        choices_from_file(path)
