"""Shared by all tests: where the design's data lies, and one thread for tiny models."""

from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def shared_data():
    folder = Path(__file__).resolve().parents[2] / "shared" / "data"
    if not folder.exists():
        pytest.skip(f"the shared test data is not at {folder}")
    return folder
