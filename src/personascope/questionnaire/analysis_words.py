"""What an analysis says in plain words: what each vector does to each score, what it costs, and what must be doubted.

    raised, lowered   the slope by dose has an interval on one side of 0, and at dose 0 it is beyond the controls
    not shown         everything else, with the reason

Judges finished analyses; knows no engine and no file.
"""

import math
from collections.abc import Iterator, Sequence

from personascope.questionnaire.analysis import ALPHA, LEAST_CHANGE, VectorAnalysis
from personascope.questionnaire.damage import Damage
from personascope.questionnaire.item_rules import one_way_caution
from personascope.questionnaire.item_vectors import LayerAgreement
from personascope.questionnaire.steered_scores import SteeredScore
from personascope.questionnaire.trait_analysis import TraitAnalysis
from personascope.steering import gaps_per_rho
from personascope.uncertainty import FEWEST_GROUPS
from personascope.verdict import verdict
from personascope.wording import counted, decimals, gain_text, has_interval, joined, p_text, signed, with_interval


def own_trait(found: TraitAnalysis, name: str) -> str:
    """The trait of a vector by its name (`evil-2` is of evil)."""
    return found.steered_with[name].trait


def in_order(found: TraitAnalysis, name: str) -> tuple[str, ...]:
    """All traits with items, the vector's own first."""
    traits, own = found.analysis.questionnaire.traits, own_trait(found, name)
    return ((own,) if own in traits else ()) + tuple(trait for trait in traits if trait != own)


def conclusions(found: TraitAnalysis, name: str) -> tuple[str, ...]:
    """Did the vector move its own trait's score beyond the controls, which others moved with it, what did it cost."""
    one, own = found.analysis.vectors[name], own_trait(found, name)
    traits = in_order(found, name)
    told = [_own(found, one, name)] if own in traits else [f"There is no item of {own}: only other traits are told of."]
    return (*told, *_others(one, [trait for trait in traits if trait != own]), cost_told(one))


def _own(found: TraitAnalysis, one: VectorAnalysis, name: str) -> str:
    trait = own_trait(found, name)
    score, effect = one.scores[trait], one.effect(trait)
    which = f"The vector {name} (layer {one.layer})"
    if effect == "not shown":
        return f"{which} is not shown to move the score of {trait}: {why_not_shown(score)}."
    curve = score.response.curve
    return (
        f"{which} {effect} the score of {trait} beyond the controls: P(high) goes from {decimals(curve[0].value, 3)} "
        f"at rho {signed(one.doses[0])} to {decimals(curve[-1].value, 3)} at {signed(one.doses[-1])}, slope "
        f"{gain_text(score.response.slope)}, {beyond_text(score)}."
    )


def _others(one: VectorAnalysis, others: Sequence[str]) -> Iterator[str]:
    moved = sorted(
        (trait for trait in others if one.effect(trait) != "not shown"),
        key=lambda trait: -abs(one.scores[trait].response.slope.value),
    )
    if moved:
        told = [f"{trait} ({one.effect(trait)}, {gain_text(one.scores[trait].response.slope)})" for trait in moved]
        yield f"Other scores that moved: {joined(told)}."
    still = [trait for trait in others if one.effect(trait) == "not shown"]
    if still:
        yield f"{'Not' if moved else 'No other score is'} shown to move: {joined(still)}."


def why_not_shown(score: SteeredScore) -> str:
    """Why an effect is not shown: its interval, or the controls."""
    slope, zero = score.response.slope, score.at_zero
    if not math.isfinite(slope.value):
        return "its items have no answer"
    reasons = [f"its answers are not reliable: {score.doubts[0]}"] if score.doubts else []
    if not has_interval(slope):
        n = score.response.n_statements
        why = f"it has {counted(n, 'statement')}" if n < FEWEST_GROUPS else "all items answer alike"
        reasons.append(f"slope {signed(slope.value)} without an interval ({why})")
    elif slope.low <= 0 <= slope.high:
        reasons.append(f"its slope {gain_text(slope)} may be 0")
    moved = abs(score.response.curve[-1].value - score.response.curve[0].value)
    if moved < LEAST_CHANGE:
        reasons.append(f"P(high) moves by less than {LEAST_CHANGE:g}")
    ps = {"relabelled texts": zero.p_shuffled, "random directions": zero.p_random}
    reached = [f"{name} (p {p_text(p)})" for name, p in ps.items() if p >= ALPHA]
    if reached:
        reasons.append(f"controls do as much at dose 0: {joined(reached)}")
    if zero.n_shuffled and 1 / (zero.n_shuffled + 1) >= ALPHA:
        reasons.append(f"{counted(zero.n_shuffled, 'relabelling')} cannot bring p below {p_text(ALPHA)}")
    if moved >= LEAST_CHANGE and zero.slope.value * slope.value <= 0:
        reasons.append(
            f"it answers small doses the other way ({signed(zero.slope.value)} at dose 0) than all doses together "
            f"({signed(slope.value)})"
        )
    return "; ".join(reasons)


def beyond_text(score: SteeredScore) -> str:
    """The p-values against the controls that there were."""
    zero = score.at_zero
    told = [f"{p_text(zero.p_shuffled)} against relabelled texts"] if zero.n_shuffled else []
    told += [f"{p_text(zero.p_random)} against random directions"] if zero.n_random else []
    return f"p {' and '.join(told)}"


def cost_told(one: VectorAnalysis) -> str:
    """What the outermost doses cost in competence."""
    plain = next(cost for cost in one.damage if cost.rho == 0)
    return (
        f"Cost: plain text has perplexity {decimals(plain.perplexity, 1)} and {percent(plain.accuracy.value)} of "
        f"choices are right at dose 0; {joined([_cost_at(cost) for cost in (one.damage[0], one.damage[-1])])}."
    )


def _cost_at(cost: Damage) -> str:
    change = cost.accuracy_change
    worse = "beyond chance" if has_interval(change) and change.high < 0 else "no loss of choices is shown"
    return (
        f"at rho {signed(cost.rho)} perplexity {decimals(cost.perplexity, 1)} and {percent(cost.accuracy.value)} right "
        f"({points(change.value)}; {worse})"
    )


def percent(value: float) -> str:
    """A share as in `74 %`."""
    return f"{decimals(100 * value, 0)} %"


def points(value: float) -> str:
    """A difference of shares, as in `−4 points`."""
    return f"{signed(100 * value, 0)} points"


def cautions(found: TraitAnalysis) -> tuple[str, ...]:
    """What must be doubted, each a whole sentence."""
    told = [line for name, one in found.analysis.vectors.items() for line in _vector_cautions(found, name, one)]
    n = len(found.analysis.questionnaire.traits) * len(found.analysis.vectors)
    if n > 1:
        told.append(
            f"{n} effects are tested and none is corrected for that: of twenty without any effect, up to one passes by "
            "chance."
        )
    one_way = one_way_caution(found.analysis.questionnaire)
    return (*found.notes, *((one_way,) if one_way else ()), *told)


def _vector_cautions(found: TraitAnalysis, name: str, one: VectorAnalysis) -> Iterator[str]:
    if one.safe is None:
        yield (
            f"It is not known which doses of {name} leave ordinary text alone at layer {one.layer}: mind the damage. "
            "`personascope steer --calibrate` measures it."
        )
    else:
        low, high = one.safe
        outside = [signed(dose) for dose in one.doses if not low <= dose <= high]
        if outside:
            yield (
                f"{_doses(outside)} outside the safe range of {name}, rho {signed(low)} to {signed(high)}: "
                "text may break there."
            )
    if not next(iter(one.scores.values())).at_zero.n_shuffled:
        yield f"{name} is compared with random directions alone: there are no texts behind it to be relabelled."


def _doses(outside: Sequence[str]) -> str:
    return f"Doses {joined(outside)} lie" if len(outside) > 1 else f"Dose {outside[0]} lies"


def agreement_told(found: TraitAnalysis, name: str) -> tuple[str, ...]:
    """How the vector from items and another one agree: at the steered layer, and where they are most alike."""
    layers = found.agreement[name]
    if not layers:
        return (f"The vector from items and {name} have no layer in common.",)
    other = f"{name} (contrast {found.steered_with[name].contrast})"
    steered = next((one for one in layers if one.layer == found.analysis.vectors[name].layer), None)
    nearest = max(layers, key=lambda one: one.cosine)
    told = [f"At the steered layer {steered.layer} {_agreed(steered, other)}."] if steered else []
    if nearest is not steered:
        told.append(f"They are most alike at layer {nearest.layer}: {_agreed(nearest, other)}.")
    chance = 1.96 / math.sqrt(found.analysis.model.width)
    told.append(
        f"Of random pairs of directions 95 % have a cosine from {signed(-chance, 3)} to {signed(chance, 3)} here; an "
        "AUC of 0.5 is a coin toss."
    )
    return tuple(told)


def _agreed(one: LayerAgreement, other: str) -> str:
    back = one.rollouts_read_by_items
    told = f"the cosine of the vector from items with {other} is {signed(one.cosine)}"
    told += f"; the latter reads the options with AUC {with_interval(one.items_read_by_rollouts)}"
    if math.isfinite(back.value):
        told += f", the former reads the replies with AUC {with_interval(back)}"
    return told


def item_vector_told(found: TraitAnalysis) -> str:
    """How well the vector from items reads options that it was not made from; nothing where there is none."""
    if found.item_vector is None:
        return ""
    separation = found.item_vector.separation
    return (
        f"Vector from items ({counted(separation.n_questions, 'statement')}, {separation.n_high} high and "
        f"{separation.n_low} low options): held-out AUC {with_interval(separation.nested_auc)}, best at layer "
        f"{separation.chosen_layer}, p {p_text(separation.p)}. Statements were held out whole. Verdict: "
        f"{verdict(separation).line}."
    )


def asked_told(found: TraitAnalysis) -> str:
    """How items were asked, why, and which."""
    analysis = found.analysis
    asked = analysis.questionnaire
    return (
        f"{counted(len(asked.items), 'item')} of {counted(len(asked.traits), 'trait')} ({asked.source}, {asked.form}, "
        f"edition {asked.digest}), asked by {analysis.choice.way}: {analysis.choice.why}."
    )


def where_told(found: TraitAnalysis, name: str) -> str:
    """Which vector, which layer and why, and what a dose is."""
    one = found.analysis.vectors[name]
    per_rho = gaps_per_rho(one.doses, one.strengths)
    return (
        f"{name}: {found.steered_with[name].path.name}, layer {one.layer} ({one.why}). Doses are rho, the length of "
        f"what is added as a share of a token's residual norm; rho 0.1 is {decimals(per_rho / 10)} persona gaps."
    )
