"""The demo in a real terminal, on the toy."""

from pseudo_terminal import ROOT

from personascope.cli.starters import CLASSIC


def test_enter_leads_a_newcomer_through_the_quick_demo_in_a_terminal(terminal, tmp_path):
    folder = tmp_path / "demo"
    screen = terminal(ROOT / "demo_persona_analysis.py", "--model", "toy", "--save-dir", folder)
    for question in ("Your choice [1]: ", "Model [toy]: ", "Trait [extraversion]: ", "Protocol [quick]: ", "Folder ["):
        screen.until(question)
        screen.type("\r")
    screen.until("$ personascope extract toy --trait extraversion --protocol quick")
    screen.until("$ personascope steer toy --vectors")
    screen.until(f"1  {CLASSIC['extraversion'][0]}")
    screen.until("extraversion L")
    screen.type("1\r")
    screen.until(CLASSIC["extraversion"][0])
    screen.until("extraversion L")
    screen.type("/quit\r")
    screen.until("Your choice [2]: ")
    screen.type("5\r")
    assert screen.code() == 0
    assert "Made here:" in screen.seen and (folder / "toy_extraversion_report.html").exists()
    screen = terminal(ROOT / "demo_persona_analysis.py")
    screen.until("Your choice [1]: ")
    screen.interrupt()
    assert screen.code() == 130 and "stopped; nothing was written" in screen.seen
