"""An adapter put on a model's weights, which stay in memory once; each engine has its own on while it runs.

Tried on an empty copy first, so that a model which an adapter does not fit is left as it was.
Knows torch and, where an adapter is put on, peft; knows nothing of chats.
"""

import copy
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from personascope.errors import ModelError
from personascope.models.adapters import CONFIG, MERGE, Adapter, refused
from personascope.models.loading import quiet, reason

_PREFIX = "base_model.model."
_LEAVES_BASE_ALONE = (True, False, "gaussian", "eva", "orthogonal")
"""Ways to begin a LoRA that touch none of the base's weights; others (pissa, olora) subtract from them."""


class Wardrobe:
    """The adapters of one model, shared by its engines; at most one is on, and only while an engine runs."""

    def __init__(self, model: nn.Module, name: str, weights: str) -> None:
        """`name` and `weights` (a fingerprint) are those of the model without any adapter."""
        self.model: Any = model
        self.name = name
        self.weights = weights
        self._kinds: dict[str, str] = {}
        self._modules: list[Any] = []
        self._asked: list[tuple[object, str | None]] = []

    @contextmanager
    def showing(self, adapter: str | None) -> Iterator[None]:
        """Within the `with` this adapter is on, or none; afterwards what was on before, also after an error."""
        ticket = object()
        try:
            self._asked.append((ticket, adapter))
            self._settle()
            yield
        finally:
            # Two engines' `with`s need not close in the order they opened in.
            self._asked = [entry for entry in self._asked if entry[0] is not ticket]
            self._settle()

    def put_on(self, adapter: Adapter, logits: Callable[[], Tensor]) -> str:
        """The adapter's name in the model, ready to be shown. One that is on already is not put on twice.

        `logits` runs the model on a few tokens. Raises ModelError where it does not fit, or changes nothing.
        """
        inner = f"adapter_{adapter.digest}"
        if inner in self._kinds:
            return inner
        if self._kinds and adapter.kind not in self._kinds.values():
            found = f"it is of kind {adapter.kind}, and the model wears one of kind {next(iter(self._kinds.values()))}"
            raise refused(adapter.name, found, hint="open it on a base of its own: open_model(ADAPTER)")
        _check_config(adapter)
        weights = adapter.weights()
        _check_moves(adapter, weights)
        weights = _rehearsed((self.model, self.name), adapter, weights, inner)
        with self.showing(None), torch.inference_mode():
            plain = logits()
        try:
            self._inject(adapter, weights, inner)
            self._kinds[inner] = adapter.kind
            self._prove(adapter, inner, plain, logits)
        except BaseException:
            self._take_off(inner)
            raise
        return inner

    def _inject(self, adapter: Adapter, weights: Mapping[str, Tensor], inner: str) -> None:
        flags = [(weight, weight.requires_grad) for weight in self.model.parameters()]
        try:
            _injected(self.model, adapter, inner)
            _filled(self.model, weights, inner)
            _in_precision_of_base(self.model, inner)
        finally:
            known = {id(weight) for weight, _ in flags}
            for weight in self.model.parameters():
                if id(weight) not in known:
                    weight.requires_grad_(False)
            for weight, flag in flags:
                weight.requires_grad_(flag)
            self._modules = _switches(self.model)
            self._settle()
            self.model.eval()

    def _prove(self, adapter: Adapter, inner: str, plain: Tensor, logits: Callable[[], Tensor]) -> None:
        """Raise ModelError unless the base is what it was, and the adapter changes what it says."""
        with self.showing(None), torch.inference_mode():
            if not torch.equal(logits(), plain):
                raise refused(adapter.name, "it changes its base also where it is off", hint=f"{MERGE}; open anew")
        with self.showing(inner), torch.inference_mode():
            alike = torch.equal(logits(), plain)
        # Trained tokens change no text without them.
        if alike and not adapter.config.get("trainable_token_indices"):
            raise _idle(adapter, "the logits of the probe text are the same with it and without, though not all zero")

    def _take_off(self, inner: str) -> None:
        from peft.tuners.tuners_utils import BaseTunerLayer

        self._kinds.pop(inner, None)
        getattr(self.model, "peft_config", {}).pop(inner, None)
        for module in self._modules:
            if inner in module._get_available_adapters():
                others = () if isinstance(module, BaseTunerLayer) else (None,)
                module.delete_adapter(inner, *others)
        self._settle()

    def _settle(self) -> None:
        """Switch on what was asked for last, everything else off."""
        adapter = self._asked[-1][1] if self._asked else None
        for module in self._modules:
            has = adapter is not None and adapter in module._get_available_adapters()
            if has:
                module.set_adapter([adapter], inference_mode=True)
            # Not by enable_adapters: that also makes weights trainable.
            module._disable_adapters = not has


def _switches(model: nn.Module) -> list[Any]:
    """The modules of a model that an adapter hangs on."""
    from peft.tuners.tuners_utils import BaseTunerLayer
    from peft.utils.other import AuxiliaryTrainingWrapper

    return [module for module in model.modules() if isinstance(module, (BaseTunerLayer, AuxiliaryTrainingWrapper))]


def _check_config(adapter: Adapter) -> None:
    """Raise ModelError for an adapter that cannot be had on a base which others use too, and where peft is absent."""
    settings = _peft_config(adapter)
    if settings.is_prompt_learning or settings.is_adaption_prompt or adapter.config.get("alora_invocation_tokens"):
        found = f"its kind ({adapter.kind}) adds tokens or waits for some, and changes no weights for all tokens"
        raise refused(adapter.name, found, hint="adapters of the LoRA family and IA3 can be opened")
    begun = adapter.config.get("init_lora_weights", True)
    if begun not in _LEAVES_BASE_ALONE:
        raise refused(adapter.name, f"it was begun by {begun!r}, which changes the base's own weights", hint=MERGE)


def _peft_config(adapter: Adapter) -> Any:
    try:
        from peft import PeftConfig
    except ImportError as error:
        raise refused(adapter.name, "peft is not installed", hint="pip install 'personascope[peft]'") from error
    try:
        with quiet():
            config = PeftConfig.from_pretrained(str(adapter.folder))
    except Exception as error:  # peft raises whatever its kinds of adapters do
        raise refused(
            adapter.name, f"its {CONFIG}: {reason(error)}", hint="save it again with a recent peft"
        ) from error
    config.inference_mode = True
    return config


def _check_moves(adapter: Adapter, weights: Mapping[str, Tensor]) -> None:
    """Raise ModelError where nothing was learned: a LoRA adds B A, and begins with B = 0."""
    last = [weight for name, weight in weights.items() if "lora_B" in name or "lora_embedding_B" in name]
    learned = last if last and len(last) * 2 == len(weights) else list(weights.values())
    if not any(bool(weight.any()) for weight in learned):
        told = "all its lora_B weights are zero" if learned is last else "all its weights are zero"
        raise _idle(adapter, told if learned else "it holds no weights")


def _idle(adapter: Adapter, why: str) -> ModelError:
    return ModelError(
        f"this adapter changes nothing: {adapter.name!r} ({why})",
        hint="was it saved before it was trained, or is another checkpoint meant? Its base alone does the same",
    )


def _injected(model: nn.Module, adapter: Adapter, inner: str) -> None:
    """Put an adapter's layers into a model, without weights."""
    from peft import inject_adapter_in_model

    with quiet():
        inject_adapter_in_model(_peft_config(adapter), model, inner, low_cpu_mem_usage=True)


def _filled(model: nn.Module, weights: Mapping[str, Tensor], inner: str) -> list[str]:
    """Give an adapter's layers their weights; the names of those that got none, or that have no place."""
    from peft import set_peft_model_state_dict

    with quiet():
        told = set_peft_model_state_dict(model, dict(weights), inner, low_cpu_mem_usage=True)
    return [name for name in told.missing_keys if _is_of(name, inner)] + list(told.unexpected_keys)


def _in_precision_of_base(model: nn.Module, inner: str) -> None:
    """Whole modules that an adapter puts in another's place compute as those do; other weights keep their own."""
    from peft.utils.other import ModulesToSaveWrapper

    for module in model.modules():
        if isinstance(module, ModulesToSaveWrapper) and inner in module.modules_to_save:
            module.modules_to_save[inner].to(next(module.original_module.parameters()).dtype)


def _is_of(name: str, inner: str) -> bool:
    return inner in name.split(".")


def _rehearsed(
    wearer: tuple[Any, str], adapter: Adapter, weights: Mapping[str, Tensor], inner: str
) -> dict[str, Tensor]:
    """The weights that are the adapter's own, tried on an empty copy of the model.

    Raises ModelError unless all that the config announces is there, of the model's shapes, and nothing else.
    """
    model, model_name = wearer
    try:
        with quiet(), torch.device("meta"):
            empty = type(model)(copy.deepcopy(model.config))
        _injected(empty, adapter, inner)
        places = {name for name, _ in empty.named_parameters(remove_duplicate=False) if not _is_of(name, inner)}
        own = _own(model, adapter, weights, places)
        amiss = _filled(empty, own, inner)
    except ModelError:
        raise
    except Exception as error:  # peft and torch raise many kinds where names or shapes do not fit
        told = f"{error.args[0]} is missing" if isinstance(error, KeyError) and error.args else reason(error)
        raise _misfit(adapter, model_name, told.replace(f".{inner}", "")) from error
    if amiss:
        first = amiss[0].replace(f".{inner}", "")
        raise _misfit(adapter, model_name, f"{len(amiss)} weights are missing or have no place, as {first}")
    return own


def _own(model: Any, adapter: Adapter, weights: Mapping[str, Tensor], places: set[str]) -> dict[str, Tensor]:
    """An adapter's weights without copies of the base's. Raises ModelError where it would change one of these."""
    of_base = {_bare(name): weight for name, weight in model.named_parameters(remove_duplicate=False)}
    own = {}
    for name, weight in weights.items():
        place = name.removeprefix(_PREFIX)
        if place not in places:
            own[place] = weight
            continue
        there = of_base.get(_bare(place))
        if there is None or there.shape != weight.shape or not torch.equal(there.cpu(), weight.to(there.dtype)):
            found = f"its file holds changed weights of the base itself, as {place} {list(weight.shape)}"
            raise refused(adapter.name, found, hint=MERGE)
    return own


def _bare(name: str) -> str:
    """A weight's name as it is without adapters."""
    return name.replace(".base_layer.", ".").replace(".original_module.", ".")


def _misfit(adapter: Adapter, model_name: str, found: str) -> ModelError:
    named = adapter.base or "no base"
    hint = (
        f"its config names {named}: open it on that base" if adapter.base else "open it on the base it was trained on"
    )
    return refused(adapter.name, f"it does not fit {model_name}: {found}", hint=hint)
