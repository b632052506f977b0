"""A server under load: every answer compared with the Hugging Face engine's, bad requests among them, memory watched.

    python benchmarks/serving.py --engine vllm --vectors a_vectors.npz --vectors b_vectors.npz

Starts `personascope serve`, lets 64 clients ask at once for two minutes, each a persona of its own, greedily, a tenth
of them streamed; one request in twenty is junk and must be answered with 400. Printed: answers that are not the
Hugging Face engine's (0 wanted), answers and tokens a second, latency, and the server's memory before and after.
"""

import argparse
import json
import os
import signal
import statistics
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections import Counter
from pathlib import Path
from typing import Any

from personascope.models.opening import open_model
from personascope.models.protocols import Chat, Sampling
from personascope.serve.personas import doses, persona_in, steered

QUESTIONS = (
    "What do you do on a rainy day?",
    "How was your week?",
    "Tell me about your neighbours.",
    "What is a good breakfast?",
    "Describe the place where you live.",
    "What would you do with a free afternoon?",
    "How do you feel about crowds?",
    "What did you learn last year?",
)
STRENGTHS = (None, -1.5, -1.0, -0.5, 0.5, 1.0, 1.5, 2.0)
JUNK: tuple[dict[str, Any], ...] = (
    {"persona": {"nobody": 1}},
    {"persona": {"strength": "much"}},
    {"persona": [1]},
    {"temperature": "hot"},
)


def main() -> None:
    """Compute what is right, start the server, ask, print."""
    asked = options()
    personas, right = answers(asked)
    server = start(asked)
    try:
        found = Load(asked, right)
        found.warm()
        before = memory(server.pid)
        found.run()
        after = memory(server.pid)
    finally:
        server.send_signal(signal.SIGINT)
        server.wait(timeout=60)
    told = found.told()
    print(f"{asked.engine}, {asked.clients} clients, {asked.seconds} s, personas {', '.join(personas)}")
    for name, value in told.items():
        print(f"  {name}: {value}")
    print(f"  memory of the server: {before} MB before, {after} MB after")


def options() -> argparse.Namespace:
    """What is asked on the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="smollm2-135m")
    parser.add_argument("--vectors", type=Path, action="append", required=True)
    parser.add_argument("--engine", choices=("hf", "vllm"), default="hf")
    parser.add_argument("--clients", type=int, default=64)
    parser.add_argument("--seconds", type=float, default=120)
    parser.add_argument("--tokens", type=int, default=24)
    parser.add_argument("--port", type=int, default=8017)
    return parser.parse_args()


def answers(asked: argparse.Namespace) -> tuple[list[str], list[tuple[dict[str, Any], str]]]:
    """The personas, and 64 requests with the greedy reply that the Hugging Face engine gives to each."""
    engine = open_model(asked.model, precision="float32")
    personas = {one.name: one for one, _ in (persona_in(path, engine.spec, engine) for path in asked.vectors)}
    names = list(personas)
    bodies = []
    for at, strength in enumerate(STRENGTHS):
        for number, question in enumerate(QUESTIONS):
            name = names[(at + number) % len(names)]
            persona: dict[str, Any] = {} if strength is None else {name: strength}
            if strength is not None and number % 3 == 2:
                persona = {one: {"strength": strength / 2, "positions": "all"} for one in names}
            body = {"messages": [{"role": "user", "content": question}], "max_tokens": asked.tokens, "temperature": 0}
            bodies.append(body | ({"persona": persona} if persona else {}))
    made = engine.generate(
        [Chat(body["messages"][0]["content"]) for body in bodies],
        Sampling(asked.tokens, 0.0),
        seeds=[0] * len(bodies),
        steering=[steered(doses(personas, body.get("persona"))) for body in bodies],
    )
    return names, [(body, reply.text) for body, reply in zip(bodies, made.replies, strict=True)]


def start(asked: argparse.Namespace) -> "subprocess.Popen[bytes]":
    """The server, ready."""
    files = [word for path in asked.vectors for word in ("--vectors", str(path))]
    wanted = ["--engine", asked.engine, "--port", str(asked.port), "--dtype", "float32"]
    server = subprocess.Popen([sys.executable, "-m", "personascope", "serve", asked.model, *files, *wanted])
    while True:
        if server.poll() is not None:
            sys.exit("the server did not start")
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{asked.port}/v1/personas", timeout=5):
                return server
        except OSError:
            time.sleep(1)


def memory(pid: int) -> int:
    """Resident memory of a process and its children, MB."""
    total, waiting = 0, [pid]
    while waiting:
        one = waiting.pop()
        try:
            status = Path(f"/proc/{one}/status").read_text(encoding="utf-8")
            waiting += map(int, Path(f"/proc/{one}/task/{one}/children").read_text(encoding="utf-8").split())
        except OSError:
            continue
        total += next((int(line.split()[1]) for line in status.splitlines() if line.startswith("VmRSS")), 0)
    return total // 1024


class Load:
    """Clients that ask until the time is over."""

    def __init__(self, asked: argparse.Namespace, right: list[tuple[dict[str, Any], str]]) -> None:
        self._asked, self._right = asked, right
        self._url = f"http://127.0.0.1:{asked.port}/v1/chat/completions"
        self._lock = threading.Lock()
        self._counts: Counter[str] = Counter()
        self._seconds: list[float] = []
        self._wrong: list[str] = []
        self._took = 0.0

    def warm(self) -> None:
        """One round of all requests, uncounted."""
        self._all(lambda at: self._ask(self._right[at % len(self._right)][0]))

    def run(self) -> None:
        """All clients, for as long as is asked."""
        began = time.monotonic()
        self._all(lambda at: self._client(at, began + self._asked.seconds))
        self._took = time.monotonic() - began

    def told(self) -> dict[str, object]:
        """What was found."""
        latency = statistics.quantiles(self._seconds, n=20) if len(self._seconds) > 1 else [0.0] * 19
        return {
            "answers": self._counts["answers"],
            "not the Hugging Face engine's": len(self._wrong),
            "bad requests": self._counts["junk"],
            "of these answered with 400": self._counts["refused"],
            "other errors": self._counts["errors"],
            "answers a second": round(self._counts["answers"] / self._took, 2),
            "tokens a second (at most)": round(self._counts["answers"] * self._asked.tokens / self._took, 1),
            "latency, median and 95th percentile, s": f"{latency[9]:.2f}, {latency[18]:.2f}",
            "first wrong": self._wrong[:1],
        }

    def _all(self, work: Any) -> None:
        threads = [threading.Thread(target=work, args=(at,)) for at in range(self._asked.clients)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    def _client(self, at: int, end: float) -> None:
        turn = 0
        while time.monotonic() < end:
            body, right = self._right[(at + 7 * turn) % len(self._right)]
            number, turn = at + turn, turn + 1
            if number % 20 == 19:
                self._junk(body | JUNK[number // 20 % len(JUNK)])
                continue
            began = time.monotonic()
            status, text = self._ask(body | ({"stream": True} if number % 10 == 5 else {}))
            with self._lock:
                self._seconds.append(time.monotonic() - began)
                self._counts["answers" if status == 200 else "errors"] += 1
                if status == 200 and text != right:
                    self._wrong.append(f"{body}: {text!r}, not {right!r}")

    def _junk(self, body: dict[str, Any]) -> None:
        status, _ = self._ask(body)
        with self._lock:
            self._counts["junk"] += 1
            self._counts["refused"] += status == 400

    def _ask(self, body: dict[str, Any]) -> tuple[int, str]:
        request = urllib.request.Request(self._url, json.dumps(body).encode(), {"Content-Type": "application/json"})
        try:
            with urllib.request.urlopen(request, timeout=600) as answer:
                return answer.status, _text(answer.read().decode(), streamed=bool(body.get("stream")))
        except urllib.error.HTTPError as error:
            return error.code, error.read().decode()
        except OSError as error:
            return 0, str(error)


def _text(told: str, *, streamed: bool) -> str:
    if not streamed:
        return str(json.loads(told)["choices"][0]["message"]["content"])
    lines = [line.removeprefix("data: ") for line in told.splitlines() if line.startswith("data: {")]
    pieces = [choice["delta"].get("content") or "" for line in lines for choice in json.loads(line)["choices"]]
    return "".join(pieces)


if __name__ == "__main__":
    os.environ.setdefault("HF_HUB_OFFLINE", "1")
    main()
