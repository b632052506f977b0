"""The server's pages: `/v1/chat/completions`, `/v1/models`, `/v1/personas` and `/health`.

Answers and errors have the form of OpenAI's protocol. An error's message ends with what to do about it.

Knows Starlette and the desk; the engine is asked by the desk alone.
"""

import asyncio
import json
import secrets
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route

from personascope.errors import ContrastError, UserError
from personascope.models.protocols import Chat
from personascope.serve.answers import Wanted, pieces, whole
from personascope.serve.bodies import Asked, chat_asked
from personascope.serve.desk import Desk, Order
from personascope.serve.personas import Persona, doses, offered, steered
from personascope.serve.refusals import refusal


@dataclass(frozen=True)
class Office:
    """What the pages serve: a model by name, its desk, its personas, and how long a chat is in tokens."""

    model: str
    desk: Desk
    personas: Mapping[str, Persona]
    n_tokens: Callable[[Chat], int]
    context: int | None = None


def pages(office: Office) -> Starlette:
    """The application. When the server stops, so does the desk."""

    @asynccontextmanager
    async def life(_app: Starlette) -> AsyncIterator[None]:
        yield
        await asyncio.to_thread(office.desk.close)

    async def models(_request: Request) -> Response:
        return JSONResponse({"object": "list", "data": [{"id": office.model, "object": "model", "owned_by": "local"}]})

    async def personas(_request: Request) -> Response:
        return JSONResponse({"object": "list", "data": [offered(one) for one in office.personas.values()]})

    async def health(_request: Request) -> Response:
        return Response()

    async def chat(request: Request) -> Response:
        try:
            asked, wanted = await _wanted(office, request)
            if asked.stream:
                return StreamingResponse(pieces(office.desk, wanted), media_type="text/event-stream")
            return JSONResponse(await whole(office.desk, wanted))
        except UserError as error:
            return refusal(error)

    return Starlette(
        routes=[
            Route("/health", health),
            Route("/v1/models", models),
            Route("/v1/personas", personas),
            Route("/v1/chat/completions", chat, methods=["POST"]),
        ],
        exception_handlers={404: _not_found, 405: _not_found, 500: _bug},
        lifespan=life,
    )


async def _wanted(office: Office, request: Request) -> tuple[Asked, Wanted]:
    """What the request asks, and its replies. Raises UserError for what cannot be done, before anything is queued."""
    try:
        body = json.loads(await request.body())
    except (ValueError, RecursionError) as error:
        raise UserError(f"the body is no JSON ({error})", hint="send a JSON object") from error
    asked = chat_asked(body)
    if asked.model not in (None, office.model):
        raise UserError(f"this server has no model {asked.model!r}", hint=f"it serves {office.model}")
    edits = steered(doses(office.personas, asked.persona))
    n_prompt, n_reply = office.n_tokens(asked.chat), asked.sampling.max_new_tokens
    if office.context is not None and n_prompt + n_reply > office.context:
        raise ContrastError(
            f"{n_prompt} tokens of prompt and {n_reply} of reply are more than the context, {office.context}",
            hint="shorten the conversation or lower max_tokens",
        )
    seed = secrets.randbits(32) if asked.seed is None else asked.seed
    orders = tuple(Order(asked.chat, asked.sampling, seed + at, edits) for at in range(asked.n))
    return asked, Wanted(office.model, orders, n_prompt, asked.wants_usage)


async def _not_found(request: Request, _error: Exception) -> Response:
    found = UserError(
        f"there is no {request.method} {request.url.path} here",
        hint="POST /v1/chat/completions; GET /v1/models, /v1/personas or /health",
    )
    return refusal(found, 404)


async def _bug(_request: Request, error: Exception) -> Response:
    told = {"message": f"{type(error).__name__}: {error}", "type": "server_error", "param": None, "code": 500}
    return JSONResponse({"error": told}, status_code=500)
