"""A vector from planted items, on trial on the toy engine."""

import pytest
from planted_items import RISES, planted_items

from personascope.extraction import extract
from personascope.models.toy import ToyModel
from personascope.questionnaire.analysis import VectorOnTrial, analyse
from personascope.questionnaire.asking import likelihoods, present
from personascope.questionnaire.damage import TwoChoice
from personascope.questionnaire.item_vectors import asked_items, contrast_from_items, halves
from personascope.questionnaire.steered_scores import Asked
from personascope.steering_files import gathered_behind
from personascope.traits import load_trait

TRAIT = load_trait(RISES)


CHOICES = [TwoChoice("What then?", "the sunny day", "the gloomy day"), TwoChoice("And?", "we plan", "we plan")]


def quiet(_what, _total):
    return lambda _done: None


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A vector from half of the planted items."""
    own, _ = halves(planted_items(), RISES)
    stem = tmp_path_factory.mktemp("items") / f"toy_{RISES}_items"
    contrast = contrast_from_items(own, "planted")
    return extract(ToyModel(), TRAIT, contrast, layers=range(12), seed=0, stem=stem, progress=quiet)


def on_trial(made, *, name=RISES, layer=7, behind=True, safe=None):
    return VectorOnTrial(
        name, made.vectors, layer, "told", gathered_behind(made.vectors, made.vectors_path) if behind else None, safe
    )


def analysed(trials, questionnaire=None, choices=CHOICES):
    questionnaire = questionnaire or asked_items(planted_items(), halves(planted_items(), RISES)[0])
    return analyse(ToyModel(), questionnaire, trials=trials, choices=choices, asked="text", seed=0, progress=quiet)


@pytest.fixture(scope="module")
def found(made):
    return analysed([on_trial(made)])


def asked_plainly(engine, items, way, doses=(0.0,)):
    presented = present(items, way, raw=not engine.spec.template)
    return Asked(tuple(items), presented, likelihoods(engine, presented, steerings=[()] * len(doses)), doses)
