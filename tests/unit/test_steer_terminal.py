"""A conversation in a pseudo-terminal: history, Ctrl-C and Ctrl-D."""

from personascope.models.protocols import Chat, Sampling
from personascope.models.toys import toy_for
from personascope.steered_replies import Dial, steered_replies
from personascope.traits import load_trait
from personascope.vectors import read_vectors


def test_a_conversation_in_a_terminal_with_history_and_ctrl_c_and_ctrl_d(terminal, vectors, tmp_path):
    toy = toy_for(load_trait("evil"))
    dose = Dial(read_vectors(vectors), (7,)).at(-1.5).steered
    ((reply,),) = steered_replies(toy, [Chat("Tell me of the town", raw=True)], [dose], Sampling(100, 0.7), seed=0)
    screen = terminal("-m", "personascope", "steer", "toy", "--vectors", vectors, "--interactive")
    screen.until("evil L7 +1.0 rho +0.20>")
    screen.type("/strength -1.5\r")
    screen.until("evil L7 −1.5 rho −0.30>")
    screen.type("Tell me of the town\r")
    screen.until(reply.text)
    screen.until("evil L7 −1.5 rho −0.30>")
    screen.type("half a line\x03")
    screen.until("(Ctrl-D or /quit ends)")
    screen.type("\x1b[A\r")
    screen.until("Tell me of the town")
    screen.until(reply.text)
    screen.until("evil L7 −1.5 rho −0.30>")
    screen.type("\x04")
    assert screen.code() == 0
    assert "+Tell me of the town" in (tmp_path / "cache" / "history").read_text()


SLOW_TALK = """
import sys, time
sys.path[:0] = ["tests", "tests/unit"]
import tiny_models
from steered_tiny import steered_tiny
from personascope.cli.interactive import talk
from personascope.cli.steering_options import Asking
from personascope.models.protocols import Sampling
engine = tiny_models.engine("gpt2")
write = engine.generate
def slowly(*args, **asked):
    def listen(row, text):
        heard(row, "first words")
        time.sleep(60)
    heard, asked["listen"] = asked["listen"], listen
    return write(*args, **asked)
engine.generate = slowly
talk(steered_tiny(engine), Asking(("x",), (0.0,), Sampling(300, 1.0), seed=2))
"""


def test_ctrl_c_in_a_terminal_stops_the_reply_and_not_the_conversation(terminal):
    screen = terminal("-c", SLOW_TALK)
    screen.until("evil L1")
    screen.type("Go on\r")
    screen.until("first words")
    screen.type("\x03")
    screen.until("(stopped)")
    screen.until("evil L1")
    screen.type("/quit\r")
    assert screen.code() == 0
