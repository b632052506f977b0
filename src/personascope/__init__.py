"""Persona vectors: found, proven, steered and watched."""

__version__ = "0.1.0"
