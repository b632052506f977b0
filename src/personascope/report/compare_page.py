"""The report on a comparison: a picture (PNG) and a page (one HTML file that needs no network).

Knows finished comparisons; replies and model names are escaped like everything else.
"""

from pathlib import Path
from textwrap import wrap

from personascope.comparing import Comparison
from personascope.comparing_persona import Persona
from personascope.comparing_words import (
    READING_WORDS,
    cautions,
    control_text,
    cosine_text,
    examples,
    headline,
    verdict,
)
from personascope.questionnaire.profile_words import score_text, way_told
from personascope.report.compare_charts import TITLES, charts, picture
from personascope.report.look import PAGE
from personascope.report.offline import environment, inline_script, live, write_html, write_png
from personascope.report.steering_section import Table
from personascope.wording import counted, gain_text, p_text


def write_comparison_picture(path: Path, found: Comparison) -> None:
    """Write the charts as PNG; the file appears whole or not at all."""
    write_png(path, picture(found, title=title_of(found), subtitle=subtitle(found)))


def subtitle(found: Comparison) -> list[str]:
    """The verdict in lines that are no wider than the picture."""
    return [line for sentence in verdict(found) for line in wrap(sentence, _SUBTITLE)]


_SUBTITLE = 150
"""Characters of a line."""


def write_comparison_page(path: Path, found: Comparison) -> None:
    """Write the page as one HTML file that loads nothing; the file appears whole or not at all."""
    write_html(path, comparison_page(found))


def comparison_page(found: Comparison) -> str:
    """The HTML of a comparison, with charts, scripts and styles inside."""
    drawn = charts(found, PAGE, width="container")
    return environment().get_template("compare.html.j2").render(
        title=title_of(found),
        verdict=verdict(found),
        cautions=cautions(found),
        figures=[{"id": name, "title": TITLES[name]} for name in drawn],
        shifts=shift_table(found),
        scores=score_table(found),
        examples=[] if found.identical else [vars(one) for one in examples(found)],
        glossary=GLOSSARY,
        facts=_facts(found),
        specs={name: live(chart) for name, chart in drawn.items()},
        script=inline_script(),
    )  # fmt: skip


def title_of(found: Comparison) -> str:
    """What picture and page are called."""
    return f"{found.tuned.spec.name} against {found.base.spec.name}"


def shift_table(found: Comparison) -> Table:
    """Every shift with its null and controls, a row for each trait and reading."""
    heads = ("trait", "read in", "layer", "shift [95 %]", "moved", "p", "p, Holm", "relabelled", "random", "cosine")
    rows = []
    for name in headline(found):
        for reading, shifts in found.shifts.items():
            one, first = shifts[name], reading == found.headline
            moved, cosine = (one.moved, cosine_text(found, name)) if first else ("", "")
            nulls = (p_text(one.p), p_text(one.p_holm), control_text(one), p_text(one.p_random))
            told = (str(one.layer), gain_text(one.shift), moved, *nulls, cosine)
            rows.append((name if first else "", READING_WORDS[reading], *told))
    return Table(heads, tuple(rows))


def score_table(found: Comparison) -> Table:
    """The scores of both models on the items, and their change, item by item."""
    first, other = (column.profile for column in found.answers.columns)
    way, (changes,) = first.choice.way, found.answers.changes
    rows = tuple(
        (
            trait,
            score_text(score.p_high, way),
            score_text(other.scores[trait].p_high, way),
            gain_text(changes[trait], 3),
        )
        for trait, score in first.scores.items()
    )
    return Table(("trait", "P(high), base", "P(high), tuned", "change [95 %]"), rows)


GLOSSARY = (
    (
        "Shift",
        "Tuned minus base along the trait's vector of the base model, divided by the vector's own length: 1 is as far "
        "as replies under the high instructions lie from replies under the low ones. Both models answer the same "
        "questions, which no vector was made from, with the same noise; differences are taken question by question.",
    ),
    (
        "Read in",
        "Own replies: each model's residual stream at its own words. Text: the base reads both models' replies, so "
        "that only the words differ. Last token before the reply: the state in which the model begins to answer.",
    ),
    (
        "p, Holm",
        "How often the mean would be as far from 0 if each question's difference were as likely to be its opposite; "
        "after Holm's correction the chance of even one false finding among all traits stays below 0.05.",
    ),
    (
        "Relabelled, random",
        "Any training moves a model a little in every direction. So the same is asked of vectors that were made from "
        "the same texts with half of the instruction pairs swapped, in which every trait cancels (all traits' "
        "together), and of 1,000 random ones. The band is what 95 % of the former stay below.",
    ),
    (
        "Moved",
        "Raised or lowered: the interval leaves 0 out, p holds after correction, and at most one in twenty of either "
        "kind of control shifts as much. Not shown: anything else. Said of the first reading alone, which the verdict "
        "goes by: three readings of one training would be three chances.",
    ),
    (
        "Cosine",
        "Of the trait's vector in the base with the one made in the same way in the tuned model. In brackets what two "
        "noisy vectors of one and the same direction would have. Both models answer with the same noise, so a training "
        "that changed little may leave it a little above that.",
    ),
)


def _facts(found: Comparison) -> dict[str, dict[str, str]]:
    answers = found.answers.first
    told = {
        "questions": f"{counted(len(found.questions), 'evaluation question')}; no vector was made from them",
        "items": f"{answers.questionnaire.source} ({answers.questionnaire.form}), asked {way_told(answers.choice.way)}",
        "seed": str(found.seed),
    }
    return {"Comparison": told, "Base": _model_facts(found.base), "Tuned": _model_facts(found.tuned)}


def _model_facts(one: Persona) -> dict[str, str]:
    spec = one.spec
    return {
        "model": spec.name,
        "adapter": spec.adapter or "none",
        "layers": f"{spec.n_layers} blocks of width {spec.width}",
        "precision": spec.dtype,
        "weights": spec.weights or "not hashed",
        "chat template": spec.template or "none (raw text)",
    }
