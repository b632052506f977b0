"""vLLM's own server behind our gate: steered as the Hugging Face engine, never contaminated, never brought down."""

import json
import os
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from concurrent.futures import ThreadPoolExecutor

import pytest
import tiny_vectors
import tiny_vllm

from personascope.models.opening import open_model
from personascope.models.protocols import Chat, Sampling
from personascope.serve.personas import doses, persona_in, steered

pytestmark = pytest.mark.slow
LONG = "Tell me of the town and of the river. " * 12
"""Longer than a block of the prefix cache, 128 tokens on a processor."""


@pytest.fixture(scope="module")
def engine():
    return open_model(tiny_vllm.folder("llama"), precision="float32")


@pytest.fixture(scope="module")
def files(engine, tmp_path_factory):
    folder = tmp_path_factory.mktemp("vectors")
    evil = tiny_vectors.written(folder / "evil_vectors.npz", engine.spec, safe=(-0.2, 0.3))
    return [evil, tiny_vectors.written(folder / "openness_vectors.npz", engine.spec, trait="openness", seed=3, layer=2)]


@pytest.fixture(scope="module")
def personas(engine, files):
    return {one.name: one for one, _ in (persona_in(path, engine.spec) for path in files)}


@pytest.fixture(scope="module")
def url(files):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    words = [word for path in files for word in ("--vectors", str(path))]
    wanted = ["--engine", "vllm", "--dtype", "float32", "--port", str(port)]
    server = subprocess.Popen(
        [sys.executable, "-m", "personascope", "serve", tiny_vllm.folder("llama"), *words, *wanted],
        env=os.environ | {"OMP_NUM_THREADS": "1"},
    )
    at, began = f"http://127.0.0.1:{port}", time.monotonic()
    while time.monotonic() - began < 400 and server.poll() is None:
        try:
            urllib.request.urlopen(f"{at}/v1/personas", timeout=5).close()
            break
        except OSError:
            time.sleep(0.5)
    yield at
    server.terminate()
    assert server.wait(timeout=60) is not None


def ask(url, body, path="/v1/chat/completions"):
    request = urllib.request.Request(url + path, json.dumps(body).encode(), {"Content-Type": "application/json"})
    try:
        with urllib.request.urlopen(request, timeout=300) as answer:
            return answer.status, json.loads(answer.read())
    except urllib.error.HTTPError as error:
        return error.code, json.loads(error.read())


def body(text, persona=None, **more):
    asked = {"messages": [{"role": "user", "content": text}], "max_tokens": 8, "temperature": 0, **more}
    return asked if persona is None else asked | {"persona": persona}


def said(url, text, persona=None):
    status, told = ask(url, body(text, persona))
    assert status == 200, told
    return told["choices"][0]["message"]["content"]


def expected(engine, personas, text, persona=None):
    edits = steered(doses(personas, persona))
    return engine.generate([Chat(text)], Sampling(8, 0.0), seeds=[0], steering=[edits]).replies[0].text


PERSONAS = [
    None,
    {"evil": 2},
    {"evil": -2},
    {"openness": {"strength": 1.5, "layer": 3}},
    {"evil": 1, "openness": {"strength": 2, "positions": "all"}},
    {"openness": {"strength": 1, "mode": "ablate", "positions": "prompt"}},
]


def test_many_personas_at_once_are_answered_as_by_the_other_engine(url, engine, personas):
    asked = [(f"What of matter {at}?", PERSONAS[at % len(PERSONAS)]) for at in range(24)]
    with ThreadPoolExecutor(24) as pool:
        answers = list(pool.map(lambda one: said(url, *one), asked))
    assert answers == [expected(engine, personas, *one) for one in asked]
    plain = [expected(engine, personas, text) for text, _ in asked]
    assert sum(one != other for one, other in zip(answers, plain, strict=True)) > 12


@pytest.mark.parametrize("positions", ["reply", "prompt", "all"])
def test_a_steered_prompt_leaves_nothing_in_the_cache_for_a_plain_one(url, engine, personas, positions):
    text, persona = f"{positions}. {LONG}", {"evil": {"strength": 3, "positions": positions}}
    steered_first = [said(url, text, persona), said(url, text)]
    assert steered_first == [expected(engine, personas, text, persona), expected(engine, personas, text)]
    assert said(url, text, persona) == steered_first[0]


@pytest.mark.parametrize("positions", ["prompt", "all"])
def test_a_plain_prompt_in_the_cache_is_not_taken_for_a_steered_one(url, engine, personas, positions):
    text, persona = f"Then {positions}. {LONG}", {"evil": {"strength": 3, "positions": positions}}
    plain_first = [said(url, text), said(url, text, persona)]
    assert plain_first == [expected(engine, personas, text), expected(engine, personas, text, persona)]
    assert plain_first[0] != plain_first[1]


@pytest.mark.parametrize(
    "bad",
    [
        {"persona": {"evli": 1}},
        {"persona": {"evil": {"strength": 1, "layer": 99}}},
        {"persona": {"evil": "much"}},
        {"persona": ["evil"]},
        {"vllm_xargs": {"personascope": "junk"}},
        {"temperature": "hot"},
    ],
)
def test_junk_is_refused_and_the_server_goes_on(url, engine, personas, bad):
    status, told = ask(url, body("Hello") | bad)
    assert status == 400 and told["error"]["message"]
    assert said(url, "Hello", {"evil": 1}) == expected(engine, personas, "Hello", {"evil": 1})


def test_other_pages_have_no_personas_and_a_stranger_cannot_open_the_gate(url):
    assert ask(url, {"input": "Hi", "persona": {"evil": 1}}, "/v1/responses")[0] == 400
    request = urllib.request.Request(f"{url}/v1/personas/open", b"{}", {"x-personascope-proof": "guess"})
    with pytest.raises(urllib.error.HTTPError):
        urllib.request.urlopen(request, timeout=30)


def test_a_stream_says_what_the_whole_answer_says(url):
    asked = body("What of this?", {"evil": 2}, stream=True)
    request = urllib.request.Request(
        f"{url}/v1/chat/completions", json.dumps(asked).encode(), {"Content-Type": "application/json"}
    )
    with urllib.request.urlopen(request, timeout=300) as answer:
        lines = [line.decode().removeprefix("data: ") for line in answer if line.startswith(b"data: {")]
    text = "".join(choice["delta"].get("content") or "" for line in lines for choice in json.loads(line)["choices"])
    assert text == said(url, "What of this?", {"evil": 2})
