"""Talking to a steered model: prompts and commands in, replies out as they are written.

Each prompt is a conversation of its own. The same prompt at the same setting gets the same reply; /seed draws another.
In a terminal lines are edited and remembered by prompt_toolkit; elsewhere they are read as they come.
"""

import json
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from prompt_toolkit import PromptSession
from prompt_toolkit.completion import WordCompleter
from prompt_toolkit.history import FileHistory, History, InMemoryHistory
from prompt_toolkit.shortcuts import CompleteStyle
from rich.console import Console

from personascope.artifacts import Json, finite, write_whole
from personascope.cli.bars import progress_bars
from personascope.cli.printing import print_error
from personascope.cli.standing import Standing
from personascope.cli.starters import starters_of
from personascope.cli.steered_model import SteeredModel, alone_notes, is_raw, known_trait
from personascope.cli.steering_job import swept, told_of, where_text
from personascope.cli.steering_options import Asking, parse_strength, parse_strengths, start_of
from personascope.cli.steering_tables import print_sweep, unsafe_lines
from personascope.errors import ArtifactError, UserError
from personascope.models.default_model import cache_dir
from personascope.models.protocols import Chat, Reply
from personascope.steered_replies import Dose, steered_replies
from personascope.suggestions import did_you_mean

COMMANDS = {
    "/strength": "/strength 1.5      turn the trait to a strength, in the unit of --unit",
    "/layer": "/layer 17          steer at another layer of the file, or at 15,16,17, or all",
    "/trait": "/trait NAME        turn another of the loaded traits; the others keep their strengths",
    "/compare": "/compare -1 0 1    the last prompt at several strengths, side by side",
    "/seed": "/seed 7            draw other replies; the same seed gives the same reply again",
    "/save": "/save FILE         write what was said as JSON lines",
    "/help": "/help              this list, and the starter prompts",
    "/quit": "/quit              end, as Ctrl-D does; Ctrl-C stops a reply",
}
Read = Callable[[str], str]
"""Asks for a line after a lead; raises EOFError at the end."""


def talk(model: SteeredModel, asking: Asking) -> None:
    """Answer prompts and obey commands until the end of input."""
    talking, read = Talk(model, asking), reader()
    talking.greet()
    while True:
        try:
            line = read(talking.lead()).strip()
        except EOFError:
            return
        except KeyboardInterrupt:
            talking.tell("(Ctrl-D or /quit ends)")
            continue
        if line == "/quit":
            return
        talking.hear(line)


class Talk:
    """A conversation: which trait is turned, how far each one is, and what was said."""

    def __init__(self, model: SteeredModel, asking: Asking) -> None:
        self._console = Console(highlight=False, markup=False)
        self._now, self._asking = Standing(model, start_of(asking.strengths)), asking
        self._said: list[dict[str, Json]] = []
        self._last = ""
        self._saved: set[Path] = set()

    def tell(self, line: str) -> None:
        """Print a line, left to the terminal to wrap."""
        self._console.print(line, soft_wrap=True)

    def greet(self) -> None:
        """Tell what is turned, and offer prompts to start with."""
        for line in told_of(self._now.model, self._asking):
            self.tell(line)
        self._offer()
        self.tell("Each prompt is a conversation of its own. /help tells the commands.")

    def lead(self) -> str:
        """What stands before the next line."""
        return f"{self._now.told()}> "

    def hear(self, line: str) -> None:
        """Obey a command, or answer a prompt or the starter prompt of that number; a mistake is told."""
        command, _, told = line.partition(" ")
        starters = self._starters()
        try:
            if line.startswith("/"):
                self._obey(command, told.strip())
            elif line.isdecimal() and 1 <= int(line) <= len(starters):
                self.tell(starters[int(line) - 1])
                self._answer(starters[int(line) - 1])
            elif line:
                self._answer(line)
        except UserError as error:
            print_error(error)
        except KeyboardInterrupt:
            self.tell("(stopped)")

    def _obey(self, command: str, told: str) -> None:
        doing = {
            "/strength": self._strength,
            "/layer": self._layer,
            "/trait": self._switch,
            "/compare": self._compare,
            "/seed": self._seed,
            "/save": self._save,
            "/help": self._help,
        }
        if command not in doing:
            hint = f"{did_you_mean(command, COMMANDS)}choose one of {', '.join(COMMANDS)}"
            raise UserError(f"there is no command {command}", hint=hint)
        doing[command](told)

    def _strength(self, told: str) -> None:
        self._now.turn(parse_strength(told))
        for line in unsafe_lines(self._now.dial, [self._now.dose]):
            self.tell(line)

    def _layer(self, told: str) -> None:
        self.tell(where_text(self._now.move(told)))

    def _switch(self, told: str) -> None:
        self._now.switch(told)
        for note in alone_notes(self._now.dial, self._now.held):
            self.tell(f"! {note}")
        self._offer()

    def _compare(self, told: str) -> None:
        if not self._last:
            raise UserError("there is no prompt to compare yet", hint="type one, or a starter's number")
        now = self._now
        strengths = parse_strengths(told, now.dial.mode, now.dial.unit) if told else self._asking.strengths
        asking = replace(self._asking, strengths=strengths)
        with progress_bars(leave=False) as progress:
            sweep = swept(now.model, now.trait, asking, [self._last], held=now.held, progress=progress)
        print_sweep(self._console, now.dial, sweep)
        for dose, (reply,) in zip(sweep.doses, sweep.replies, strict=True):
            self._keep(self._last, reply.text, dose, ended=reply.ended)

    def _seed(self, told: str) -> None:
        if not told.isdecimal():
            raise UserError(f"{told!r} is no seed", hint=f"give a whole number from 0; it is {self._asking.seed} now")
        self._asking = replace(self._asking, seed=int(told))

    def _save(self, told: str) -> None:
        path = Path(told).expanduser()
        if not told or (path.exists() and path not in self._saved):
            found = f"{path} is there already" if told else "no file is named"
            raise ArtifactError(found, hint="name a new file: /save talk.jsonl")
        lines = "".join(json.dumps(finite(one), ensure_ascii=False) + "\n" for one in self._said)
        write_whole(path, lambda part: _write(part, lines))
        self._saved.add(path)
        self.tell(f"{len(self._said)} replies saved to: {path}")

    def _help(self, _told: str) -> None:
        for line in COMMANDS.values():
            self.tell(line)
        self._offer()

    def _offer(self) -> None:
        self.tell("\nTo start, type a number or a prompt of your own:")
        for number, starter in enumerate(self._starters(), 1):
            self.tell(f"  {number}  {starter}")

    def _starters(self) -> tuple[str, ...]:
        return starters_of(known_trait(self._now.turned.trait))

    def _answer(self, prompt: str) -> None:
        now, dose = self._now, self._now.dose
        self._last = prompt
        chat = Chat(prompt, raw=is_raw(now.model, self._asking.raw))
        written = Written()
        try:
            [[reply]] = steered_replies(
                now.model.engine,
                [chat],
                [now.steered],
                self._asking.sampling,
                seed=self._asking.seed,
                listen=lambda _row, text: written.grow(text),
            )
        except KeyboardInterrupt:
            self._keep(prompt, written.stop(), dose, ended=False)
        else:
            written.end(reply)
            self._keep(prompt, reply.text, dose, ended=reply.ended)

    def _keep(self, prompt: str, reply: str, dose: Dose, *, ended: bool) -> None:
        self._said.append(
            {
                "prompt": prompt,
                "reply": reply,
                "ended": ended,
                "trait": self._now.trait,
                "layers": self._now.dial.layers,
                "strength": dose.strength,
                "rho": dose.rho,
                "mode": self._now.dial.mode,
                "held": {name: one.strength for name, one in self._now.held_doses.items()},
                "seed": self._asking.seed,
            }
        )


class Written:
    """A reply on the screen, as far as it has come."""

    def __init__(self) -> None:
        self._shown = ""

    def grow(self, text: str) -> None:
        """Show what is new in the text so far; half a character waits for its other half."""
        ready = text.lstrip().rstrip("\ufffd")
        if ready.startswith(self._shown):
            self._put(ready[len(self._shown) :])
            self._shown = ready

    def end(self, reply: Reply) -> None:
        """Show the rest; three dots where the reply was cut at its longest."""
        whole = reply.text.strip()
        rest = whole[len(self._shown) :] if whole.startswith(self._shown) else f"\n{whole}"
        if whole != self._shown.rstrip():
            self._put(rest)
        self._put("\n" if reply.ended else " …\n")

    def stop(self) -> str:
        """What was written until now; its line is ended."""
        self._put(" (stopped)\n")
        return self._shown

    def _put(self, text: str) -> None:
        sys.stdout.write(text)
        sys.stdout.flush()


def reader() -> Read:
    """Lines from the terminal, with history; or, where there is none, from standard input, each told as it is read."""
    if not (sys.stdin.isatty() and sys.stdout.isatty()):
        return _plain_line
    session: PromptSession[str] = PromptSession(
        history=_history(),
        completer=WordCompleter(list(COMMANDS), sentence=True),
        complete_while_typing=False,
        complete_style=CompleteStyle.READLINE_LIKE,
    )
    return lambda lead: session.prompt(lead)


def _plain_line(lead: str) -> str:
    line = sys.stdin.readline()
    if not line:
        raise EOFError
    print(f"{lead}{line.rstrip()}")
    return line


def _history() -> History:
    """The lines of earlier conversations; of this one alone, where they cannot be kept."""
    path = cache_dir() / "history"
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    except OSError:
        return InMemoryHistory()
    return FileHistory(str(path))


def _write(path: Path, text: str) -> None:
    path.write_text(text, encoding="utf-8")
