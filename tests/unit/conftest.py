"""Fixtures that several modules of unit tests take: steer, an analysis of a planted vector, a terminal."""

from planted_analysis import found, made
from pseudo_terminal import terminal
from steer_runs import run, vectors

__all__ = ["found", "made", "run", "terminal", "vectors"]
