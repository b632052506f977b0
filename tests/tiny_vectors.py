"""A vectors file for a tiny model: random directions at every layer, with a calibration where one is wanted."""

import numpy as np
import tiny_models

from personascope.artifacts import header, sha256, write_json
from personascope.vectors import Vectors, write_vectors


def written(path, spec, *, trait="evil", seed=0, layer=1, safe=None):
    """The path of the file; with `safe`, an analysis of it that tells the safe rho lies beside it."""
    raw = np.random.default_rng(seed).standard_normal((spec.n_layers, spec.width)).astype(np.float32)
    told = header("persona vectors", model=spec, made_from={}, settings={"seed": 0, "position": "reply_mean"})
    told |= {"trait": {"name": trait, "high": trait, "low": "kind"}, "chosen_layer": layer}
    told |= {"layers": {str(k): {"residual_norm": 10.0} for k in range(spec.n_layers)}}
    write_vectors(path, Vectors(tuple(range(spec.n_layers)), raw, told))
    if safe is not None:
        beside = path.with_name(path.stem.removesuffix("_vectors") + "_analysis.json")
        told = header("separation", model=spec, made_from={"vectors": sha256(path)}, settings={})
        write_json(beside, told | {"steering": {"layer": layer, "safe": safe}})
    return path


def model_folder(architecture, folder, dtype=None):
    """A folder with a tiny model and its tokenizer, as the Hub has them."""
    made = tiny_models.model(architecture)
    (made if dtype is None else made.to(dtype)).save_pretrained(folder)
    tiny_models.tokenizer().save_pretrained(folder)
    return folder
