"""Several traits of one model side by side: a heat map of their cosines (PNG) and an index page that needs no network.

Knows finished overviews; names of models and traits are escaped like everything else.
"""

from pathlib import Path
from textwrap import wrap
from urllib.parse import quote

import altair as alt

from personascope.overview_words import COLUMNS, cautions, cells, conclusions, layer_told, several_told, steering_words
from personascope.report.likeness_chart import likeness_map
from personascope.report.look import PAGE, PAPER, styled
from personascope.report.offline import environment, inline_script, live, write_html, write_png
from personascope.report.steering_section import Table
from personascope.report.words import GLOSSARY, STEERING_GLOSSARY
from personascope.trait_overview import Overview, TraitRow, pairs_by_cosine
from personascope.wording import decimals, signed

_CELL = 62
"""Width of a cell of the picture in pixels."""
_PAIRS_SHOWN = 12
_SUBTITLE = 16
"""Characters of a line below the title for each trait: a longer one would make the picture wider than its map."""


def write_traits_picture(path: Path, found: Overview) -> None:
    """Write the heat map as PNG; the file appears whole or not at all. Needs two traits."""
    if found.alike is None:
        raise ValueError("one trait has no cosines to draw")
    n = len(found.alike.names)
    chart = likeness_map(found.alike, PAPER, width=_CELL * n)
    lines = wrap(f"{layer_told(found)} {_chance(found)}", max(60, _SUBTITLE * n))
    heading = alt.TitleParams(
        f"Cosines of trait vectors in {found.model.name}, layer {found.alike.layer}",
        subtitle=lines, anchor="start", fontSize=19, subtitleFontSize=12, subtitlePadding=6, offset=20,
    )  # fmt: skip
    write_png(path, styled(alt.VConcatChart(vconcat=[chart], title=heading, padding=22), PAPER))


def write_traits_page(path: Path, found: Overview) -> None:
    """Write the index page as one HTML file that loads nothing; the file appears whole or not at all."""
    write_html(path, traits_page(found))


def traits_page(found: Overview) -> str:
    """The HTML of the index, with charts, scripts and styles inside; links to each trait's report are relative."""
    return environment().get_template("traits.html.j2").render(
        found=found,
        title=f"Traits of {found.model.name}",
        columns=COLUMNS,
        rows=[_told(row) for row in found.rows],
        conclusions=conclusions(found),
        several=several_told(found),
        layer_told=layer_told(found),
        chance=_chance(found),
        matrix=_matrix(found),
        pairs=_pairs(found),
        glossary=GLOSSARY + (STEERING_GLOSSARY if any(row.steering for row in found.rows) else ()),
        facts=_facts(found),
        specs={"alike": live(likeness_map(found.alike, PAGE, width="container"))} if found.alike else {},
        script=inline_script(),
    )  # fmt: skip


def _told(row: TraitRow) -> dict[str, object]:
    return {
        "row": row,
        "cells": cells(row),
        "report": quote(f"{row.stem}_report.html"),
        "steering": steering_words(row),
        "cautions": cautions(row),
    }


def _chance(found: Overview) -> str:
    if found.alike is None:
        return ""
    return (
        f"Two random directions of this width have a cosine of 0 give or take {decimals(found.alike.chance, 3)} "
        "(standard deviation)."
    )


def _matrix(found: Overview) -> Table | None:
    if found.alike is None:
        return None
    names, cosines = found.alike.names, found.alike.cosines
    rows = tuple((name, *(signed(float(cosine)) for cosine in row)) for name, row in zip(names, cosines, strict=True))
    return Table((f"cosine at layer {found.alike.layer}", *names), rows)


def _pairs(found: Overview) -> Table | None:
    """The pairs furthest from right angles, with the range of their cosine over the candidate layers."""
    pairs = pairs_by_cosine(found)[:_PAIRS_SHOWN]
    if found.alike is None or not pairs:
        return None
    span = f"{found.candidates[0].layer} to {found.candidates[-1].layer}" if found.candidates else "all"
    rows = tuple(
        (f"{pair.one}, {pair.other}", signed(pair.cosine), f"{signed(pair.lowest)} to {signed(pair.highest)}")
        for pair in pairs
    )
    return Table(("traits", f"cosine at layer {found.alike.layer}", f"in layers {span}"), rows)


def _facts(found: Overview) -> dict[str, str]:
    spec, settings = found.model, found.settings
    protocol = settings["protocol"]
    return {
        "model": spec.name,
        "layers": f"{spec.n_layers} blocks of width {spec.width}",
        "precision": spec.dtype,
        "revision": spec.revision or "not given",
        "chat template": spec.template or "none (raw text)",
        "contrast": str(settings["contrast"]),
        "protocol": f"{protocol['name']}: {protocol['pairs']} instruction pairs x {protocol['questions']} questions x "
        f"{protocol['repeats']}, at most {protocol['max_new_tokens']} new tokens",
        "seed": str(settings["seed"]),
    }
