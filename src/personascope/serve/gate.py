"""The gate of vLLM's server: personas in a request's body become what our worker follows, or are refused.

Given to the server as `--middleware`. A steered request gets a `cache_salt`, so that nothing it leaves in the prefix
cache is taken for another's. Until the one who started the server has seen that steering steers, it is shut to others.

Knows the server's bodies and our personas; runs inside vLLM's server and imports nothing of vLLM.
"""

import json
import os
from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from personascope.errors import SteeringError, UserError
from personascope.models.protocols import ModelSpec
from personascope.models.vllm.wire import KEY as WIRED
from personascope.models.vllm.wire import Capacity
from personascope.serve.personas import KEY, Persona, doses, offered, persona_in, steered
from personascope.serve.refusals import refusal
from personascope.serve.stock import Stock

SETTINGS = "PERSONASCOPE_GATE"
"""The environment variable that tells the gate what it lets in."""
PROOF = "x-personascope-proof"
"""The header by which the one who started the server is known until it is open."""
OPEN = "/v1/personas/open"
_SERVED = ("/v1/chat/completions", "/v1/completions")
_DRAWING = (
    *("temperature", "seed", "n", "stream", "stream_options", "max_tokens", "max_completion_tokens", "min_tokens"),
    *("top_p", "top_k", "min_p", "stop", "stop_token_ids", "logprobs", "top_logprobs", "prompt_logprobs"),
    *("frequency_penalty", "presence_penalty", "repetition_penalty", "logit_bias", "ignore_eos"),
    *("user", "metadata", "store", "cache_salt"),
)
"""Fields that change how a reply is drawn, and not its prompt."""

Message = MutableMapping[str, Any]
Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]


@dataclass(frozen=True)
class Settings:
    """What a gate is told: the model, the files of its personas by name, and the worker's buffers."""

    spec: ModelSpec
    vectors: Mapping[str, str]
    capacity: Capacity
    template: Mapping[str, bool | str]
    """Switches of the chat template, set where a request does not."""
    secret: str

    def text(self) -> str:
        """As it travels."""
        return json.dumps(asdict(self))

    @classmethod
    def read(cls, text: str) -> "Settings":
        """The settings in a text."""
        told = json.loads(text)
        return cls(**told | {"spec": ModelSpec(**told["spec"]), "capacity": Capacity(**told["capacity"])})


class PersonaGate:
    """The middleware; its settings come from the environment."""

    def __init__(self, app: App) -> None:
        self._app = app
        self._settings = Settings.read(os.environ[SETTINGS])
        self._personas: dict[str, Persona] = {
            name: persona_in(Path(path), self._settings.spec)[0] for name, path in self._settings.vectors.items()
        }
        self._stock = Stock(self._personas, self._settings.capacity)
        self._open = False

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer, refuse, or hand the request on to the server."""
        if scope["type"] != "http" or scope["path"] == "/health":
            await self._app(scope, receive, send)
            return
        request = Request(scope, receive)
        known = request.headers.get(PROOF) == self._settings.secret
        answer: Response | None = None
        if not (self._open or known):
            answer = refusal(UserError("the server is still proving itself", hint="ask again in a few seconds"), 503)
        elif request.method == "POST" and request.url.path == OPEN and known:
            self._open, answer = True, Response()
        elif request.method == "GET" and request.url.path == "/v1/personas":
            answer = JSONResponse({"object": "list", "data": [offered(one) for one in self._personas.values()]})
        if answer is not None:
            await answer(scope, receive, send)
        elif request.method == "POST" and request.url.path.startswith("/v1/"):
            await self._pass(request, send)
        else:
            await self._app(scope, receive, send)

    async def _pass(self, request: Request, send: Send) -> None:
        """Hand a request on with its personas as the worker follows them."""
        body = await request.body()
        try:
            body = self._translated(body, request.url.path)
        except UserError as error:
            await refusal(error)(request.scope, request.receive, send)
            return
        headers = [(name, value) for name, value in request.scope["headers"] if name != b"content-length"]
        headers.append((b"content-length", str(len(body)).encode()))
        told = False

        async def receive() -> Message:
            nonlocal told
            if told:
                return await request.receive()
            told = True
            return {"type": "http.request", "body": body, "more_body": False}

        await self._app({**request.scope, "headers": headers}, receive, send)

    def _translated(self, body: bytes, path: str) -> bytes:
        """The body that the server shall read. Raises UserError for personas that are not to be had."""
        try:
            told = json.loads(body)
        except (ValueError, RecursionError):
            return body  # the server says what is wrong with it
        if not isinstance(told, dict):
            return body
        if isinstance(told.get("vllm_xargs"), Mapping) and WIRED in told["vllm_xargs"]:
            raise SteeringError(f"{WIRED!r} among vllm_xargs is not for clients", hint=f"name personas under {KEY!r}")
        asked = told.pop(KEY, None)
        if path == _SERVED[0] and self._settings.template:
            told["chat_template_kwargs"] = {**self._settings.template, **(told.get("chat_template_kwargs") or {})}
        if asked is None:
            return json.dumps(told).encode()
        if path not in _SERVED:
            raise SteeringError(f"{path} has no personas", hint=f"ask {' or '.join(_SERVED)}")
        edits = steered(doses(self._personas, asked))
        if edits:
            prompt = json.dumps({name: value for name, value in told.items() if name not in _DRAWING}, sort_keys=True)
            wired = self._stock.wired(edits, prompt)
            told["vllm_xargs"] = {**(told.get("vllm_xargs") or {}), WIRED: wired.message.text()}
            told["cache_salt"] = f"{told.get('cache_salt') or ''}{wired.salt}"
        return json.dumps(told).encode()
