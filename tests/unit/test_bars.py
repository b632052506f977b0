"""Progress bars end, and their clocks stop, when all the work is done; a log gets a line."""

import io

import pytest
import tiny_models
from rich.console import Console
from rich.progress import Progress

from personascope.calibration import neutral_replies
from personascope.cli import bars


@pytest.fixture
def shown(monkeypatch):
    """The bars that are opened, as in a terminal."""
    opened = []

    class Kept(Progress):
        def __init__(self, *columns, **settings):
            settings |= {"console": Console(file=io.StringIO(), force_terminal=True)}
            super().__init__(*columns, **settings)
            opened.append(self)

    monkeypatch.setattr(bars, "Progress", Kept)
    monkeypatch.setattr(bars, "in_terminal", lambda: True)
    return opened


def test_fractions_that_add_up_to_a_hair_less_end_the_bar(shown):
    with bars.progress_bars() as progress:
        tick = progress("thirds", 1)
        for _ in range(10):
            tick(0.1)
        half = progress("half", 4)
        half(2.0)
    done, open_still = shown[0].tasks
    assert done.finished and done.completed == 1
    assert not open_still.finished and open_still.completed == 2


def test_the_bar_of_neutral_replies_reaches_its_end(shown):
    with bars.progress_bars() as progress:
        neutral_replies(tiny_models.engine("llama"), seed=0, tick=progress("neutral replies", 16))
    (task,) = shown[0].tasks
    assert task.finished and task.completed == 16


def test_a_log_is_told_of_a_long_stage_once_it_is_whole(monkeypatch, capsys):
    monkeypatch.setattr(bars, "_LONG", 0.0)
    with bars.progress_bars() as progress:
        tick = progress("replies", 1)
        for _ in range(9):
            tick(0.1)
        assert capsys.readouterr().err == ""
        tick(0.1)
        tick(0.0)
    assert capsys.readouterr().err == "replies: done in 0 s\n"


def test_a_log_is_not_told_of_short_stages(capsys):
    with bars.progress_bars() as progress:
        progress("replies", 1)(1)
    assert capsys.readouterr().err == ""
