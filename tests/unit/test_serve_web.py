"""The server of the Hugging Face engine, asked as a client would: the replies are the engine's own."""

import json
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
import tiny_models
import tiny_vectors
from starlette.testclient import TestClient

from personascope.cli.serve_job import office_of
from personascope.cli.serve_options import Job
from personascope.errors import ModelError
from personascope.models.protocols import Chat, Generation, ModelSpec, Reply, Sampling
from personascope.serve.answers import _Growing
from personascope.serve.desk import Desk, Order
from personascope.serve.personas import doses, steered
from personascope.serve.web import pages

CHAT = "/v1/chat/completions"


@pytest.fixture(scope="module")
def engine():
    return tiny_models.engine("llama")


@pytest.fixture(scope="module")
def office(engine, tmp_path_factory):
    folder = tmp_path_factory.mktemp("vectors")
    evil = tiny_vectors.written(folder / "evil_vectors.npz", engine.spec, safe=(-0.2, 0.3))
    openness = tiny_vectors.written(folder / "openness_vectors.npz", engine.spec, trait="openness", seed=3, layer=2)
    made, _notes = office_of(engine, Job("tiny", {"evil": evil, "openness": openness}, "127.0.0.1", 8000))
    return made


@pytest.fixture(scope="module")
def client(office):
    with TestClient(pages(office)) as client:
        yield client


def body(text="Tell me of the town", **more):
    return {"messages": [{"role": "user", "content": text}], "max_tokens": 8, "temperature": 0, **more}


def expected(engine, office, text, persona=None, sampling=None, seed=0):
    edits = steered(doses(office.personas, persona))
    made = engine.generate([Chat(text)], sampling or Sampling(8, 0.0), seeds=[seed], steering=[edits])
    return made.replies[0].text


def said(answer):
    assert answer.status_code == 200, answer.text
    return [choice["message"]["content"] for choice in answer.json()["choices"]]


def streamed(client, asked):
    with client.stream("POST", CHAT, json=asked | {"stream": True}) as answer:
        lines = [line.removeprefix("data: ") for line in answer.iter_lines() if line]
    assert lines[-1] == "[DONE]"
    return [json.loads(line) for line in lines[:-1]]


PERSONAS = [None, {"evil": 1.5}, {"evil": -2, "openness": {"strength": 1, "layer": 3}}, {"openness": 0.5}]


def test_many_at_once_are_each_answered_as_the_engine_answers_them_alone(client, engine, office):
    asked = [(f"What of matter {at}?", PERSONAS[at % 4]) for at in range(24)]
    with ThreadPoolExecutor(24) as pool:
        answers = list(pool.map(lambda one: client.post(CHAT, json=body(one[0], persona=one[1])), asked))
    assert [said(answer) for answer in answers] == [[expected(engine, office, *one)] for one in asked]
    assert len({tuple(said(answer)) for answer in answers}) > 12


def test_a_stream_adds_up_to_the_whole_answer(client):
    asked = body("What of this?", persona={"evil": 1}, n=2, temperature=1, seed=5)
    pieces = streamed(client, asked | {"stream_options": {"include_usage": True}})
    whole = client.post(CHAT, json=asked).json()
    texts, ends = ["", ""], [None, None]
    for choice in (choice for piece in pieces for choice in piece["choices"]):
        texts[choice["index"]] += choice["delta"].get("content", "")
        ends[choice["index"]] = choice["finish_reason"] or ends[choice["index"]]
    assert texts == [choice["message"]["content"] for choice in whole["choices"]] and texts[0] != texts[1]
    assert ends == [choice["finish_reason"] for choice in whole["choices"]]
    assert pieces[-1]["usage"] == whole["usage"] and pieces[-1]["choices"] == []


def test_a_seed_gives_the_engines_own_reply_and_usage_counts_its_tokens(client, engine, office):
    answer = client.post(CHAT, json=body("What of this?", seed=7, n=2, temperature=0.8))
    texts = [expected(engine, office, "What of this?", None, Sampling(8, 0.8), seed) for seed in (7, 8)]
    assert said(answer) == texts
    usage = answer.json()["usage"]
    assert usage["prompt_tokens"] == len(engine.loaded.chat_format.tokens(Chat("What of this?")).ids)
    assert usage["total_tokens"] == usage["prompt_tokens"] + usage["completion_tokens"]


def test_what_was_said_before_is_part_of_the_prompt(client, engine):
    turns = [("system", "Be."), ("user", "Hi"), ("assistant", "Yes?"), ("user", "Bye")]
    messages = [{"role": role, "content": text} for role, text in turns]
    answer = client.post(CHAT, json={"messages": messages, "max_tokens": 8, "temperature": 0})
    chat = Chat("Bye", "Be.", earlier=(("Hi", "Yes?"),))
    assert said(answer) == [engine.generate([chat], Sampling(8, 0.0), seeds=[0]).replies[0].text]
    assert "Hi" in engine.loaded.chat_format.text(chat) and "Yes?" in engine.loaded.chat_format.text(chat)


@pytest.mark.parametrize(
    ("asked", "told"),
    [
        (body(persona={"evli": 1}), "did you mean evil"),
        (body(persona={"evil": {"strength": 1, "layer": 99}}), "no layer 99"),
        (body(top_p=0.5), "top_p is not served"),
        (body(model="other"), "it serves tiny"),
        (body(max_tokens=10_000), "more than the context"),
        ([], "no JSON object"),
    ],
)
def test_a_bad_request_is_refused_and_the_next_one_served(client, asked, told):
    answer = client.post(CHAT, json=asked)
    error = answer.json()["error"]
    assert answer.status_code == 400 and told in error["message"] and error["type"] == "invalid_request_error"
    assert client.post(CHAT, json=body()).status_code == 200


def test_no_json_and_no_page_are_told(client):
    assert "no JSON" in client.post(CHAT, content="{").json()["error"]["message"]
    assert client.get("/v1/nowhere").status_code == 404
    assert "/v1/chat/completions" in client.get(CHAT).json()["error"]["message"]


def test_models_personas_and_health_are_told(client):
    assert client.get("/health").status_code == 200
    assert [one["id"] for one in client.get("/v1/models").json()["data"]] == ["tiny"]
    assert [one["persona"] for one in client.get("/v1/personas").json()["data"]] == ["evil", "openness"]


class Slow:
    """An engine that waits until it is let go, and fails where it is told to."""

    def __init__(self, error=None):
        self.go, self.begun, self.batches, self.error = threading.Event(), threading.Event(), [], error
        self.spec, self.notes = ModelSpec("slow", 1, 1, "float32"), ()

    def generate(self, chats, sampling, *, seeds, layers=None, steering=None, tick=None, listen=None):
        self.begun.set()
        assert self.go.wait(30)
        self.batches.append([chat.question for chat in chats])
        if self.error and any(chat.question == "bad" for chat in chats):
            raise self.error
        return Generation(tuple(Reply(chat.question, 1, ended=True) for chat in chats), None)


def order(question, tokens=8):
    return Order(Chat(question), Sampling(tokens), 0, ())


def test_what_comes_while_a_batch_runs_is_the_next_batch_by_sampling():
    engine = Slow()
    desk = Desk(engine)
    first = desk.take(order("a"))
    assert engine.begun.wait(30)
    rest = [desk.take(order(name, tokens)) for name, tokens in (("b", 8), ("c", 9), ("d", 8))]
    rest[2].cancel()  # its client has gone
    later = desk.take(order("e"))
    engine.go.set()
    assert [one.result(30).text for one in (first, rest[0], rest[1], later)] == ["a", "b", "c", "e"]
    desk.close()
    assert engine.batches == [["a"], ["b", "e"], ["c"]]


def test_one_that_cannot_be_written_does_not_harm_the_others():
    engine = Slow(ModelError("no", hint="none"))
    desk = Desk(engine)
    desk.take(order("a"))
    assert engine.begun.wait(30)
    good, bad = desk.take(order("good")), desk.take(order("bad"))
    engine.go.set()
    assert good.result(30).text == "good"
    with pytest.raises(ModelError, match="no"):
        bad.result(30)
    desk.close()


def test_a_closed_desk_refuses_what_still_waits():
    engine = Slow()
    desk = Desk(engine)
    desk.take(order("a"))
    assert engine.begun.wait(30)
    waiting = desk.take(order("b"))
    closing = threading.Thread(target=desk.close)
    closing.start()
    engine.go.set()
    closing.join(30)
    with pytest.raises(ModelError, match="closed"):
        waiting.result(30)
    with pytest.raises(ModelError, match="closing"):
        desk.take(order("c"))


def test_half_a_character_is_kept_back_until_it_is_whole():
    growing = _Growing()
    sent = [growing.more(text) for text in ("so", "so \ufffd", "so \u00e9", "so \u00e9")]
    assert sent == ["so", " ", "\u00e9", ""] and growing.rest("so \u00e9!") == "!"
