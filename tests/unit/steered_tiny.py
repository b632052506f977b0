"""A tiny random model with a random direction in place, ready for a conversation."""

from pathlib import Path

import numpy as np
import tiny_models

from personascope.artifacts import header
from personascope.cli.steered_model import SteeredModel, Turned
from personascope.steered_replies import Dial
from personascope.steering_files import Advice
from personascope.vectors import Vectors


def steered_tiny(engine, max_layers=4):
    raw = np.random.default_rng(0).standard_normal((max_layers, tiny_models.WIDTH)).astype(np.float32)
    told = header("persona vectors", model=engine.spec, made_from={}, settings={"seed": 0})
    told |= {"trait": {"name": "evil", "high": "evil", "low": "kind"}, "chosen_layer": 1}
    told |= {"layers": {str(k): {"residual_norm": 5.0} for k in range(max_layers)}}
    vectors = Vectors(tuple(range(max_layers)), raw, told)
    turned = Turned(Path("x_vectors.npz"), Dial(vectors, (1,)), Advice(1, "for a test"))
    return SteeredModel(engine, {"evil": turned}, {}, ())
