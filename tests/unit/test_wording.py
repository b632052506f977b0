"""How numbers are written."""

from personascope.wording import rho_range


def test_a_range_of_doses_is_told_in_both_units():
    assert rho_range((-0.24, 0.183), 12.2) == "−2.93 to +2.23 (rho −0.24 to +0.18)"
    assert rho_range((-0.18, 0.0), 10.0, places=1, to="..") == "−1.8 .. 0.0 (rho −0.18 .. 0.00)"
