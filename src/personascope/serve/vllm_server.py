"""vLLM's own server as a process of ours: started, proven to steer, opened, and ended with us.

Knows the gate and vLLM's options; reads no options of a user.
"""

import json
import os
import secrets
import subprocess
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from personascope.errors import ModelError
from personascope.models.engine_choice import check_available
from personascope.models.vllm.serving import Hosted, capacity_for, command, environment, write_stock
from personascope.models.vllm.starting import Hosting
from personascope.serve.gate import OPEN, PROOF, SETTINGS, Settings
from personascope.serve.personas import KEY, Persona
from personascope.serve.stock import Stock, n_rows

_PATIENCE = 1800
"""Seconds that a server may take to start; large models are read from disk and compiled meanwhile."""
_TRIED = 2.0
"""Gaps that are added to see that they are."""
_SAME = 1e-3
"""Nats by which the same answer may differ: another batch sums in another order. A gap or two does far more."""


@contextmanager
def serving(
    one: Hosted, vectors: Mapping[str, Path], personas: Mapping[str, Persona], hosting: Hosting, place: tuple[str, int]
) -> Iterator[subprocess.Popen[bytes]]:
    """The running server, open to all. It ends with the `with`.

    Raises ModelError where it does not start, or runs unsteered.
    """
    check_available()
    capacity = capacity_for(one.spec, n_rows([*personas.values()]), hosting)
    secret = secrets.token_hex(16)
    files = {name: str(path.resolve()) for name, path in vectors.items()}
    gate = Settings(one.spec, files, capacity, dict(one.chat_format.settings), secret)
    with tempfile.TemporaryDirectory(prefix="personascope-serve-") as folder:
        stock = Path(folder) / "stock.safetensors"
        write_stock(stock, Stock(personas, capacity).vectors)
        more: dict[str, object] = {
            "host": place[0],
            "port": place[1],
            "middleware": "personascope.serve.gate.PersonaGate",
        }
        if one.chat_format.template is not None:
            template = Path(folder) / "template.jinja"
            template.write_text(one.chat_format.template, encoding="utf-8")
            more["chat-template"] = template
        told = environment(capacity, hosting) | {SETTINGS: gate.text()}
        running = subprocess.Popen(command(one, capacity, stock, hosting, more), env=told | os.environ | told)
        try:
            _wait(running, place)
            _prove(place, secret, next(iter(personas)))
            yield running
        finally:
            running.terminate()
            try:
                running.wait(timeout=30)
            except subprocess.TimeoutExpired:
                running.kill()
                running.wait()


def _wait(running: "subprocess.Popen[bytes]", place: tuple[str, int]) -> None:
    began = time.monotonic()
    while time.monotonic() - began < _PATIENCE:
        if running.poll() is not None:
            raise ModelError(
                f"vLLM's server ended with code {running.returncode} while it started",
                hint="its own words are above; --engine hf serves without it",
            )
        try:
            with urllib.request.urlopen(f"{_at(place)}/health", timeout=5):
                return
        except OSError:
            time.sleep(0.5)
    raise ModelError(f"vLLM's server did not start within {_PATIENCE} seconds", hint="its own words are above")


def _prove(place: tuple[str, int], secret: str, persona: str) -> None:
    """Ask plainly, steered and plainly again; open the gate where the middle answer alone differs."""
    steered = {KEY: {persona: {"strength": _TRIED, "positions": "all"}}}
    answers = [_likelihoods(place, secret, more) for more in ({}, steered, {})]
    apart = [max(abs(a - b) for a, b in zip(answers[0], one, strict=True)) for one in answers[1:]]
    if not apart[0] > _SAME >= apart[1]:
        raise ModelError(
            f"vLLM runs unsteered: {_TRIED:g} gaps of {persona} change log-probabilities by {apart[0]:.2g} nats, "
            f"asking plainly again by {apart[1]:.2g}",
            hint="personascope steers vLLM 0.32: install that version, or use --engine hf",
        )
    _ask(place, OPEN, secret, {})


def _likelihoods(place: tuple[str, int], secret: str, more: Mapping[str, Any]) -> list[float]:
    """Log-probabilities, nats, of some tokens of a text that is read and not written."""
    body = {"prompt": "The weather today is", "max_tokens": 1, "temperature": 0, "prompt_logprobs": 0, **more}
    (choice,) = _ask(place, "/v1/completions", secret, body)["choices"]
    return [one["logprob"] for token in choice["prompt_logprobs"][1:] for one in token.values()]


def _ask(place: tuple[str, int], path: str, secret: str, body: Mapping[str, Any]) -> Any:
    headers = {"Content-Type": "application/json", PROOF: secret}
    request = urllib.request.Request(_at(place) + path, json.dumps(body).encode(), headers)
    try:
        with urllib.request.urlopen(request, timeout=_PATIENCE) as answer:
            return json.loads(answer.read() or b"{}")
    except urllib.error.HTTPError as error:
        said = error.read().decode(errors="replace")[:500]
        raise ModelError(
            f"vLLM's server answers its first question with {error.code}: {said}", hint="report this as a bug"
        ) from error


def _at(place: tuple[str, int]) -> str:
    host = {"0.0.0.0": "127.0.0.1", "::": "[::1]"}.get(place[0], place[0])
    return f"http://{host}:{place[1]}"
