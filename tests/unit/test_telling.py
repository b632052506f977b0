"""What the terminal tells of a separation."""

from dataclasses import replace

from made_up import quick, separation, with_chosen

from personascope.cli.telling import print_best, print_separation
from personascope.separation import Estimate
from personascope.verdict import verdict
from personascope.window import candidate_window


def test_a_layers_line_has_its_interval_and_the_best_one_an_arrow(capsys):
    print_separation(with_chosen(separation(layers=[16, 17, 18]), auc=Estimate(0.8434, 0.801, 0.88), separation=2.341))
    lines = capsys.readouterr().out.splitlines()
    assert lines[1] == "Layer 17: AUC = 0.843, Separation = 2.34  [0.80, 0.88]  ← Best layer"
    assert "←" not in lines[0] + lines[2] and "  [" in lines[0]


def test_a_layers_line_has_no_interval_where_there_is_none(capsys):
    print_separation(quick(0.8))
    told = capsys.readouterr().out
    assert "[" not in told and "nan" not in told
    assert "Layer 14: AUC = 0.799, Separation = 3.83  ← Best layer\n" in told


def test_the_best_layers_block_tells_window_depth_and_lead_over_the_baselines(capsys):
    whole = replace(separation(), chosen_layer=23, fixed_layer=17)
    print_best(whole, candidate_window(whole, 30), "openness")
    told = capsys.readouterr().out
    assert "BEST PERSONA VECTOR - OPENNESS" in told
    assert "Best Layer: 23   (sought in layers 10-23; at the edge: later layers may read better)" in told
    assert "fixed depth 0.6: layer 17, AUC" in told
    assert "  compare bag of words: AUC 0.62 [0.57, 0.67], ours +0.26 [0.21, 0.31]" in told
    assert "  compare random direction: AUC 0.50 [0.45, 0.55]\n" in told
    assert verdict(whole).line in told


def test_the_fixed_layer_is_labelled_by_its_true_depth(capsys):
    whole = replace(separation(layers=[2, 3]), fixed_layer=3)
    print_best(whole, candidate_window(whole, 8), "openness")
    assert "fixed depth 0.5: layer 3, AUC" in capsys.readouterr().out
