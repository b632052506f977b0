"""Real Ray, in the environment of vLLM (`make test-vllm`); elsewhere none of this is collected."""

import importlib.util
import json
import os
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).parent
_found = importlib.util.find_spec("ray")
collect_ignore_glob = [] if _found is not None and _found.origin is not None else ["test_*.py"]
# Workers must find the slow engines of these tests, too.
sys.path.insert(0, str(HERE))
os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, (str(HERE), os.environ.get("PYTHONPATH"))))
os.environ["RAY_USAGE_STATS_ENABLED"] = "0"

WORDS = [
    "the",
    "old",
    "house",
    "stood",
    "near",
    "a",
    "quiet",
    "river",
    "with",
    "bright",
    "summers",
    "and",
    "dull",
    "stones",
]


def texts(n):
    """Prompts and replies of different lengths; one reply is empty."""
    for row in range(n):
        reply = "" if row == 5 else " ".join(WORDS[(row * 7 + at) % len(WORDS)] for at in range(3 + row % 11))
        yield {"prompt": f"Tell me about day {row}.", "reply": reply}


@pytest.fixture(scope="session")
def data(tmp_path_factory):
    path = tmp_path_factory.mktemp("data") / "texts.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in texts(240)), encoding="utf-8")
    return path


@pytest.fixture(scope="session")
def vectors(tmp_path_factory):
    """Vectors of the toy, made by the stage."""
    from personascope.contrasts import from_replies
    from personascope.extraction import extract
    from personascope.models.toys import toy_for
    from personascope.prompts import PROTOCOLS
    from personascope.traits import load_trait

    trait = load_trait("evil")
    engine, stem = toy_for(trait), tmp_path_factory.mktemp("vectors") / "toy_evil"
    contrast = from_replies(trait, PROTOCOLS["quick"])
    layers = list(range(engine.spec.n_layers))
    return extract(
        engine, trait, contrast, layers=layers, seed=0, stem=stem, progress=lambda *_: lambda _done: None
    ).vectors_path


@pytest.fixture
def work(data, vectors, tmp_path):
    """A projection on the toy into a folder of its own; with `kind`, one of the slow ones."""
    from personascope.data_columns import Columns
    from personascope.spread.projecting import Opening, Projection

    def make(name, kind=Projection):
        columns = Columns("prompt", "reply")
        return kind(Opening("toy"), (("evil", vectors),), None, data, columns, tmp_path / name, ".parquet")

    return make
