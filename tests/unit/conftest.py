"""Fixtures that several modules of unit tests take: the verb steer, and an analysis of a planted vector."""

from planted_analysis import found, made
from steer_runs import run, vectors

__all__ = ["found", "made", "run", "vectors"]
