"""A second, slow, obvious way to steer a model of transformers: one text, one whole pass, token by token."""

import numpy as np
import torch


def logp_and_kl(engine, chat, reply, steered):
    """Log-probability of each token of the reply, and KL(steered || plain) of what it was drawn from."""
    tokens = engine._loaded.chat_format.tokens(chat, reply)
    plain = _log_probabilities(engine, tokens, ())
    found = _log_probabilities(engine, tokens, steered)
    logp = [found[place - 1, tokens.ids[place]] for place in range(tokens.start, len(tokens.ids))]
    kl = [
        (np.exp(found[place - 1]) * (found[place - 1] - plain[place - 1])).sum()
        for place in range(tokens.start, len(tokens.ids))
    ]
    return np.array(logp), np.array(kl)


def _log_probabilities(engine, tokens, steered):
    layers = sorted({layer for edit in steered for layer in edit.directions})
    layers = sorted({*layers, *(edit.condition.layer for edit in steered if edit.condition)})
    met = {}
    blocks = engine._loaded.blocks
    handles = [blocks[layer].register_forward_hook(_hook(layer, tokens, steered, met)) for layer in layers]
    try:
        with engine._loaded.dressed(), torch.no_grad():
            logits = engine._loaded.model(input_ids=torch.tensor([tokens.ids]), use_cache=False).logits[0]
    finally:
        for handle in handles:
            handle.remove()
    return torch.log_softmax(logits.double(), dim=-1).numpy()


def _hook(layer, tokens, steered, met):
    def hook(_block, _args, output):
        stream = (output[0] if isinstance(output, tuple) else output).clone()
        for place in range(stream.shape[1]):
            residual = stream[0, place].double().numpy()
            stream[0, place] = torch.from_numpy(_edited(residual, layer, place, tokens.start, steered, met))
        return (stream, *output[1:]) if isinstance(output, tuple) else stream

    return hook


def _edited(residual, layer, place, start, steered, met):
    """One token's residual after all its edits; `met` remembers where conditions held."""
    for number, edit in enumerate(steered):
        if edit.condition and edit.condition.layer == layer:
            met[number, place] = float(residual @ edit.condition.direction) > edit.condition.above
    for number, edit in enumerate(steered):
        reached = {"reply": place >= start - 1, "prompt": place < start, "all": True}[edit.positions]
        if layer not in edit.directions or not reached or not met.get((number, place), True):
            continue
        raw = edit.directions[layer].astype(np.float64)
        direction = raw / np.sqrt((raw**2).sum())
        along = float((residual * direction).sum())
        if edit.mode == "add":
            residual = residual + edit.strength * raw
        elif edit.mode == "ablate":
            residual = residual - edit.strength * along * direction
        else:
            beyond = along - edit.thresholds[layer]
            if (beyond > 0) == (edit.mode == "cap"):
                residual = residual - edit.strength * beyond * direction
    return residual
