"""A program in a pseudo-terminal, typed to and read from as a person would."""

import os
import pty
import select
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


def take_terminal():
    """Make the pseudo-terminal the controlling one, so that Ctrl-C reaches the program."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    os.close(os.open(os.ttyname(0), os.O_RDWR))


class Terminal:
    """A running program and what its screen has shown."""

    def __init__(self, *command, folder):
        self.end, other = pty.openpty()
        self.seen, self.past = "", 0
        settings = {"PERSONASCOPE_CACHE": str(folder / "cache"), "PROMPT_TOOLKIT_NO_CPR": "1", "TERM": "xterm"}
        self.running = subprocess.Popen(
            [sys.executable, *map(str, command)],
            stdin=other,
            stdout=other,
            stderr=other,
            cwd=ROOT,
            start_new_session=True,
            env={**os.environ, **settings, "COLUMNS": "120", "OMP_NUM_THREADS": "1"},
            preexec_fn=take_terminal,
        )
        os.close(other)

    def until(self, text, seconds=300):
        """Read until a text comes after the one that was waited for last."""
        deadline = time.monotonic() + seconds
        while text not in self.seen[self.past :]:
            assert time.monotonic() < deadline, self.seen
            if select.select([self.end], [], [], 1)[0]:
                try:
                    self.seen += os.read(self.end, 65536).decode(errors="replace")
                except OSError:
                    pytest.fail(f"the program ended: {self.seen}")
        self.past = self.seen.index(text, self.past) + len(text)

    def type(self, text):
        os.write(self.end, text.encode())

    def interrupt(self):
        """Press Ctrl-C until the program ends: one just before input waits is only seen with the next key."""
        for _ in range(10):
            self.type("\x03")
            try:
                return self.running.wait(timeout=6)
            except subprocess.TimeoutExpired:
                continue
        return None

    def code(self):
        """The exit code; what is still shown is read, since a program waits where a terminal is full."""
        while select.select([self.end], [], [], 60)[0]:
            try:
                self.seen += os.read(self.end, 65536).decode(errors="replace")
            except OSError:
                break
        return self.running.wait(timeout=60)


@pytest.fixture
def terminal(tmp_path):
    """Starts a program in a pseudo-terminal, and ends it with the test."""
    opened = []

    def start(*command):
        opened.append(Terminal(*command, folder=tmp_path))
        return opened[-1]

    yield start
    for one in opened:
        one.running.kill()
        one.running.wait()
        os.close(one.end)
