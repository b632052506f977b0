"""What the terminal tells of a separation: the table of layers, the best one, and what it means."""

from personascope.evidence import chosen_reading, why_no_interval
from personascope.separation import Separation
from personascope.verdict import verdict
from personascope.window import Window
from personascope.wording import decimals, gain_text, interval_text, p_text, with_interval


def print_separation(separation: Separation) -> None:
    """The table of layers in the original toolkit's lines, with intervals where there are any."""
    for reading in separation.readings:
        interval = interval_text(reading.auc)
        arrow = "← Best layer" if reading.layer == separation.chosen_layer else ""
        line = f"Layer {reading.layer}: AUC = {reading.auc.value:.3f}, Separation = {reading.separation:.2f}"
        print("  ".join(part for part in (line, interval, arrow) if part))


def print_best(separation: Separation, window: Window, trait: str) -> None:
    """The block about the chosen layer, and what it means."""
    best, why = chosen_reading(separation), why_no_interval(separation)
    fixed, headline = separation.fixed_auc, with_interval(separation.nested_auc, 4, lacking=why)
    print(f"\nBEST PERSONA VECTOR - {trait.upper()}")
    print(f"Best Layer: {best.layer}   ({window.told})")
    print(f"AUC Score: {headline}   held out, layer chosen inside each training part")
    print(
        f"  fixed depth {decimals(window.fixed_depth, 1)}: layer {separation.fixed_layer}, AUC {with_interval(fixed)}"
    )
    print(f"Permutation p: {p_text(separation.p)}   corrected over layers, {separation.n_relabellings} relabellings")
    print(f"Separation: {best.separation:.4f}   Cohen's d {with_interval(best.cohens_d)}")
    print(
        f"Vector Magnitude: {best.vector_magnitude:.4f}   "
        f"rho at strength 1: {best.relative_norm:.3f} of a token's residual norm"
    )
    _print_baselines(separation)
    told = verdict(separation)
    print(f"\n{told.line}\n{told.paragraph}")
    for caution in told.cautions:
        print(f"! {caution}")


def _print_baselines(separation: Separation) -> None:
    for name, estimate in separation.baselines.items():
        gain = separation.advantages.get(name)
        ours = f", ours {gain_text(gain)}" if gain else ""
        print(f"  compare {name}: AUC {with_interval(estimate)}{ours}")
