"""The gate before vLLM's server, with a page that shows what came through in the server's place."""

import json

import pytest
import tiny_models
import tiny_vectors
from starlette.applications import Starlette
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from starlette.testclient import TestClient

from personascope.models.vllm.serving import capacity_for
from personascope.models.vllm.starting import Hosting
from personascope.models.vllm.wire import message_in
from personascope.serve.gate import OPEN, PROOF, SETTINGS, PersonaGate, Settings
from personascope.serve.personas import persona_in
from personascope.serve.stock import n_rows

SPEC = tiny_models.engine("llama").spec


@pytest.fixture
def shut(tmp_path, monkeypatch):
    """A client of a gate that has not been opened; its settings are in the environment, as the server has them."""
    path = tiny_vectors.written(tmp_path / "evil_vectors.npz", SPEC, safe=(-0.2, 0.3))
    capacity = capacity_for(SPEC, n_rows([persona_in(path, SPEC)[0]]), Hosting())
    settings = Settings(SPEC, {"evil": str(path)}, capacity, {"enable_thinking": False}, "secret")
    assert Settings.read(settings.text()) == settings
    monkeypatch.setenv(SETTINGS, settings.text())

    async def shown(request):
        return JSONResponse(await request.json() if request.method == "POST" else request.url.path)

    async def alive(_request):
        return Response()

    paths = ("/v1/chat/completions", "/v1/completions", "/v1/responses", "/v1/models")
    routes = [Route(path, shown, methods=["POST", "GET"]) for path in paths]
    return TestClient(PersonaGate(Starlette(routes=[*routes, Route("/health", alive)])))


@pytest.fixture
def client(shut):
    assert shut.post(OPEN, headers={PROOF: "secret"}).status_code == 200
    return shut


def passed(client, body, path="/v1/chat/completions"):
    answer = client.post(path, json=body)
    assert answer.status_code == 200, answer.text
    return answer.json()


def test_nobody_else_is_let_in_before_the_server_is_proven(shut):
    assert shut.get("/health").status_code == 200
    for known, code in (({}, 503), ({PROOF: "guess"}, 503), ({PROOF: "secret"}, 200)):
        assert shut.get("/v1/models", headers=known).status_code == code
    assert shut.post(OPEN, headers={PROOF: "guess"}).status_code == 503
    assert shut.get("/v1/models").status_code == 503


def test_a_plain_request_goes_through_with_the_switches_of_its_template(client):
    assert passed(client, {"messages": []}) == {"messages": [], "chat_template_kwargs": {"enable_thinking": False}}
    own = {"chat_template_kwargs": {"enable_thinking": True}}
    assert passed(client, own) == own
    assert passed(client, {"prompt": "a", "persona": {"evil": 0}}, "/v1/completions") == {"prompt": "a"}


def test_a_persona_becomes_a_message_and_a_cache_of_its_own(client):
    told = passed(client, {"prompt": "a", "persona": {"evil": 2}, "vllm_xargs": {"x": 1}}, "/v1/completions")
    (edit,) = json.loads(told["vllm_xargs"]["personascope"])["edits"]
    assert (edit["layer"], edit["strength"], edit["positions"]) == (1, 2.0, "reply") and told["vllm_xargs"]["x"] == 1
    settings = Settings.read(client.app._settings.text())
    assert message_in(told["vllm_xargs"], settings.capacity).start is None
    assert told["cache_salt"] and "persona" not in told


def test_a_salt_is_shared_by_the_same_prompt_however_its_reply_is_drawn(client):
    def salt(body):
        return passed(client, body, "/v1/completions")["cache_salt"]

    first = salt({"prompt": "a", "persona": {"evil": 2}})
    assert salt({"prompt": "a", "persona": {"evil": 2}, "temperature": 0, "seed": 3, "stream": True}) == first
    assert salt({"prompt": "b", "persona": {"evil": 2}}) != first
    assert salt({"prompt": "a", "persona": {"evil": 1}}) != first
    assert salt({"prompt": "a", "persona": {"evil": 2}, "cache_salt": "mine"}) == f"mine{first}"
    everywhere = {"evil": {"strength": 2, "positions": "all"}}
    assert salt({"prompt": "a", "persona": everywhere}) == salt({"prompt": "b", "persona": everywhere}) != first


@pytest.mark.parametrize(
    ("path", "body", "told"),
    [
        ("/v1/chat/completions", {"persona": {"evli": 1}}, "did you mean evil"),
        ("/v1/responses", {"persona": {"evil": 1}}, "has no personas"),
        ("/v1/completions", {"vllm_xargs": {"personascope": "{}"}}, "not for clients"),
    ],
)
def test_what_cannot_be_had_is_refused_at_the_gate(client, path, body, told):
    answer = client.post(path, json=body)
    assert answer.status_code == 400 and told in answer.json()["error"]["message"]


def test_what_is_on_offer_is_told_at_the_gate(client):
    (one,) = client.get("/v1/personas").json()["data"]
    assert (one["persona"], one["layer"]) == ("evil", 1)
