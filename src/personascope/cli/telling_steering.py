"""What the terminal tells of a steering trial."""

from personascope.calibration import why_there
from personascope.steering_words import gaps_at_rho_1, safe_text, steering_told
from personascope.trying import Tried
from personascope.wording import decimals, gain_text, signed, with_interval


def print_tried(tried: Tried, trait: str) -> None:
    """The block about reading unseen texts and steering; ends with the verdict's line."""
    calibration, proof = tried.calibration, tried.trial.proof
    told = steering_told(tried)
    print(f"\nDOES IT STEER? - {trait.upper()}")
    print(f"Unseen texts: AUC {with_interval(tried.evaluation.auc)}   frozen vector, layer {tried.evaluation.layer}")
    print(f"Steering Layer: {calibration.layer}   ({why_there(calibration.layers)})")
    print(f"Safe strength: {safe_text(calibration)}")
    for dose, point in zip(proof.doses, proof.curve, strict=True):
        strength = signed(dose * gaps_at_rho_1(calibration))
        print(f"  strength {strength:>6} (rho {signed(dose):>6}): S = {gain_text(point, 3)} nats per token")
    low, high = tried.trial.bands[0]
    print(f"  slope {with_interval(proof.slope)}; 95 % of shuffled-label vectors: {decimals(low)} to {decimals(high)}")
    print(f"\n{told.meaning}")
    for part in told.points:
        print(f"{part.lead}: {part.text}")
    for caution in told.cautions:
        print(f"! {caution}")
    print(f"\n{told.line}")
