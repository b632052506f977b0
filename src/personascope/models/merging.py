"""An adapter made a part of the weights that it is on: what is left is a plain model, and says the same.

Knows torch and, once called, peft's layers; knows no files.
"""

from dataclasses import replace
from typing import Any

import torch
from torch import nn

from personascope.errors import ModelError
from personascope.models.adapters import MERGE, refused
from personascope.models.huggingface import HuggingFaceModel
from personascope.models.opening import engine_for
from personascope.models.probing import Probe

_EXACT = 1e-4
"""How far a logit may move, as a share of the largest: a float32 sum taken in another order moves by less."""


def merged(engine: HuggingFaceModel) -> HuggingFaceModel:
    """The engine over a plain model that says what an adapter's engine says.

    The weights are changed in place: every engine that shares them is used up. Raises ModelError where the adapter is
    more than a change of weights, or where the merged model says something else.
    """
    model, worn, name = engine.loaded.model, engine.loaded.worn, engine.spec.name
    if worn is None or engine.loaded.wardrobe is None:
        raise ModelError(f"{name} is no adapter", hint="it is a plain model already")
    logits = Probe(model, 24).logits
    with torch.inference_mode():
        with engine.loaded.wardrobe.showing(worn):
            before = logits()
        _unwrap(model, worn, name)
        after = logits()
    if not float((after - before).abs().max()) <= _EXACT * float(before.abs().max()):
        found = "merged into its base, it says something else than on it"
        raise refused(name, found, hint=f"do it by hand: {MERGE}")
    plain = engine_for(
        model,
        engine.loaded.chat_format.tokenizer,
        name=name,
        revision=engine.spec.revision,
        limits=engine._runner.limits,
    )
    return HuggingFaceModel(replace(plain.loaded, notes=engine.loaded.notes), engine._runner.limits)


def _unwrap(model: Any, worn: str, name: str) -> None:
    """Put plain modules with the changed weights where the adapter's are."""
    from peft.tuners.tuners_utils import BaseTunerLayer
    from peft.utils.other import AuxiliaryTrainingWrapper

    modules: dict[str, nn.Module] = dict(model.named_modules())
    if any(isinstance(module, AuxiliaryTrainingWrapper) for module in modules.values()):
        raise refused(name, "it brings whole modules or tokens of its own, which are not merged here", hint=MERGE)
    for path, module in modules.items():
        if isinstance(module, BaseTunerLayer):
            module.merge(safe_merge=True, adapter_names=[worn])
            parent, _, child = path.rpartition(".")
            setattr(modules[parent], child, module.get_base_layer())
    if hasattr(model, "peft_config"):
        del model.peft_config
