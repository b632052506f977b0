"""The demo's guide: five steps with their commands, and the words that reports use, on one screen."""

import shlex
from pathlib import Path

from personascope.artifacts import model_in_file_names


def guide(model: str, trait: str, name: str) -> str:
    """The guide, with commands that can be copied, for a model and a trait (as typed, and its own name)."""
    at, of = shlex.quote(model), shlex.quote(trait)
    stem = Path("persona_analysis") / f"{model_in_file_names(model)}_{name}"
    return f"""
FIVE STEPS (each command tells more with --help; files go to {stem.parent}/)
1 Extract: find the trait's direction, and try it on unseen texts.
    personascope extract {at} --trait {of}
2 Read the report in a browser: the verdict first, then what chance would score.
    {stem}_report.html
3 Steer: the same prompt at five strengths, or a conversation (--interactive).
    personascope steer {at} --vectors {shlex.quote(f"{stem}_vectors.npz")}
4 Analyze: which scores of a questionnaire move with the dose, and at what cost.
    personascope analyze {at} --trait {of}
5 Compare: two models, item by item; or one, plain and steered.
    personascope profile {at} OTHER_MODEL

WORDS
AUC       How often the vector ranks a high reply above a low one, on texts it
          was not made from: 1 always, 0.5 a coin toss.
interval  [0.80, 0.96]: what the AUC may be with other instructions and
          questions (95 %); fewer than six instruction pairs give none.
dose      Strength 1 adds one persona gap, low to high; rho is that as a share
          of the residual stream's length. Outside the safe range texts break."""
