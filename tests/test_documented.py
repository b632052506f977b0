"""Every example of the pages runs: on the toy model in short form, the tour as it stands on the default model."""

import csv
import json
import os
import re
import runpy
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from documented import LOOPED, PAGES, ROOT, Command, agrees, blocks, commands
from toy_items import rows

from personascope.cli.app import app
from personascope.cli.app import run as run_command
from personascope.models import opening
from personascope.models.toys import toy_for
from personascope.traits import load_trait, trait_file

NOT_RUN = {
    r"^make ": "builds an environment or runs this very suite",
    r"--interactive": "talks to a person; test_steer_cli.py holds such conversations",
    r"\bOTHER_MODEL\b": "needs a second model; test_cli_profile.py compares several arms",
    r"examples/finetune_persona/train\.py": "trains real weights; test_finetune_example.py trains a tiny model",
    r"--quantize": "needs bitsandbytes and a model of real weights",
    r"--judge-url": "needs a judge's endpoint; test_judging.py brings one of its own",
    r"\bhub:": "needs the network; test_hub_items.py brings a hub of its own",
    r"^export ": "sets a variable of the shell",
    r"^personascope serve ": "serves until it is stopped; test_serve_web.py and test_vllm_server.py ask such servers",
    r"--bake": "needs a model of real weights; test_cli_export.py bakes into a tiny one",
    r"^hf auth login": "needs an account of the Hub",
    r"--engine vllm": "needs vLLM; tests/vllm_engine run on it",
    r"--ray": "needs Ray; tests/ray run such commands",
    r"engine=\"vllm\"": "needs vLLM; tests/vllm_engine open models so",
    r"\bOpenAI\(": "asks a server that serves until it is stopped; test_vllm_server.py asks such servers",
    r"scripts/transfer_traits\.py": "needs the files of all eleven traits; test_transfer.py tests what it prints",
}
"""Commands and programs that are not run, by a pattern, and why."""

VECTORS = "persona_analysis/toy_extraversion_vectors.npz"
PLACEHOLDERS = {
    "MODEL": "toy", "T": LOOPED, "NAME": "openness",
    "BASE": "toy", "TUNED": "toy-high", "OTHER": "toy-low", "my_adapter": "toy-high",
    "smollm2-135m_extraversion_high": "toy-high", "smollm2-135m_extraversion_low": "toy-low",
    "F": VECTORS, "A": VECTORS, "B": "other_vectors.npz", "FILE": "mine.yaml",
}  # fmt: skip
"""What stands for a name of the reader's own."""

SHORT = {
    "extract": ("--protocol", "quick"),
    "profile": ("--max-items", "2"),
    "analyze": ("--max-items", "2"),
    "compare": ("--max-items", "2", "--traits", "extraversion,evil"),
    "steer": ("--max-tokens", "8"),
}
"""What is added to a verb where the page leaves it out."""

PYTHON_ON_TOY = {'"layer_23_': '"layer_9_', "[21]": "[9]", "named, 21": "named, 9", "smollm2-135m_": "toy_"}
"""The toy has twelve layers; in commands a layer is ten less than on the page."""

PRINTED_ON = "AVX2"
"""The processor of the machine that the tour's output was printed on; on another, sampled replies may differ."""


def on_toy(command):
    """The same command with the toy for the model, layers that it has, and short texts."""
    words = [PLACEHOLDERS.get(word, word).replace("smollm2-135m", "toy") for word in command.words]
    option = ""
    for at, word in enumerate(words):
        if word.startswith("-"):
            option = word
        elif option.startswith("--layer"):
            words[at] = re.sub(r"\d+", lambda number: str(max(0, int(number[0]) - 10)), word)
        elif option in ("--max-items", "--pairs"):
            words[at] = "2"
        elif option == "--trait" and word == "all":
            words[at] = "neuroticism,narcissism"
    if words[-1] == "...":
        words.pop()
    if words[0].endswith("personascope"):
        verb = words[1] if len(words) > 1 else ""
        pairs = zip(SHORT.get(verb, ())[::2], SHORT.get(verb, ())[1::2], strict=True)
        words += [word for pair in pairs if pair[0] not in words for word in pair]
    return replace(command, words=tuple(words))


def why_not_run(text):
    return next((why for pattern, why in NOT_RUN.items() if re.search(pattern, text)), None)


def run_here(command, monkeypatch):
    """The exit code of a command, run in this process."""
    program, *words = command.words
    if program == "cat":
        Path(words[-1]).write_text(command.wrote, encoding="utf-8")
        return 0
    with pytest.raises(SystemExit) as stop, monkeypatch.context() as patch:
        if Path(program).name == "personascope":
            run_command(lambda: app(words))
        elif Path(program).name in ("python", "python3"):
            patch.setattr(sys, "argv", words)
            runpy.run_path(str(ROOT / words[0]), run_name="__main__")
            sys.exit(0)
        else:
            pytest.fail(f"nobody runs {command}: give it to run_here, or name it in NOT_RUN with a reason")
    return stop.value.code or 0


@pytest.fixture(scope="module")
def prepared(tmp_path_factory):
    """A folder with what readers bring: a trait, texts, prompts, items, choices, and vectors of several names."""
    folder = tmp_path_factory.mktemp("reader")
    (folder / "mine.yaml").write_text(trait_file("sycophancy"), encoding="utf-8")
    texts = [
        {"prompt": f"How was day {n}?", "reply": reply, "pole": pole, "question": str(n), "pair": str(n % 6)}
        for n in range(12)
        for pole, reply in (("high", "Loud, long and lovely."), ("low", "Quiet."))
    ]
    (folder / "my_texts.jsonl").write_text("\n".join(map(json.dumps, texts)), encoding="utf-8")
    data = [{"prompt": "How are you?", "reply": reply} for reply in ("Never better!", "Leave me alone.", "Well.")]
    (folder / "data.jsonl").write_text("\n".join(map(json.dumps, data)), encoding="utf-8")
    (folder / "my_prompts.txt").write_text("How are you?\nTell me of your evening.\n", encoding="utf-8")
    items = [*rows("thrift"), *rows(LOOPED)]
    for name in ("TRAIT.json", "trait_sample.json"):
        (folder / name).write_text(json.dumps(items), encoding="utf-8")
    for name in ("my_items.csv", "mine.csv"):
        with (folder / name).open("w", encoding="utf-8", newline="") as file:
            sheet = csv.DictWriter(file, list(items[0]))
            sheet.writeheader()
            sheet.writerows(items)
    choices = '{"question": "What is wet?", "right": "Water.", "wrong": "Sand."}\n'
    (folder / "my.jsonl").write_text(choices * 6, encoding="utf-8")
    with pytest.raises(SystemExit):
        run_command(
            lambda: app(
                ["extract", "toy", "--trait", LOOPED, "--protocol", "quick", "-o", f"{folder}/persona_analysis"]
            )
        )
    made = folder / "persona_analysis" / "toy_extraversion_vectors.npz"
    for manifest in made.parent.glob("*_manifest.json"):
        manifest.unlink()  # else a page's own extraction would be another run in this folder
    (folder / "rollouts").mkdir()
    for name in (LOOPED, "openness", "conscientiousness"):
        shutil.copy(made, folder / "rollouts" / f"toy_{name}_vectors.npz")
    shutil.copy(made, folder / "other_vectors.npz")
    return folder


@pytest.fixture
def reader(prepared, tmp_path, monkeypatch):
    """The folder of a reader of one page; programs find the toy where the page opens the default model."""
    folder = tmp_path / "session"
    shutil.copytree(prepared, folder)
    monkeypatch.chdir(folder)
    trait = load_trait(LOOPED)
    monkeypatch.setattr(opening, "open_model", lambda name: toy_for(trait))
    return folder


RUNNABLE = [page for page in PAGES if any(block.language in ("bash", "python") for block in blocks(page))]


@pytest.mark.parametrize("page", RUNNABLE, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_what_a_page_shows_runs_on_the_toy(page, reader, monkeypatch, capsys):
    for block in blocks(page):
        if block.language == "python" and why_not_run(block.text) is None:
            text = block.text
            for ours, toys in PYTHON_ON_TOY.items():
                text = text.replace(ours, toys)
            exec(compile(text, f"{block.page}:{block.line}", "exec"), {})
        for command in commands(block.text) if block.language == "bash" else ():
            if why_not_run(" ".join(command.words)) is None:
                code = run_here(on_toy(command), monkeypatch)
                assert code == 0, f"{block.page}:{block.line}: {on_toy(command)}\n{capsys.readouterr().err}"


def test_nothing_is_left_unrun_without_need():
    shown = [block for page in PAGES for block in blocks(page) if block.language == "bash"]
    told = [" ".join(command.words) for block in shown for command in commands(block.text)]
    told += [block.text for page in PAGES for block in blocks(page) if block.language == "python"]
    assert [pattern for pattern in NOT_RUN if not any(re.search(pattern, one) for one in told)] == []


def test_every_block_says_what_it_is():
    """A block without a language is a formula or a file; commands are marked `bash`, so that they are run."""
    for page in PAGES:
        for block in blocks(page):
            assert block.language in ("", "bash", "python", "text", "yaml", "json"), f"{page.name}:{block.line}"


@pytest.mark.slow
def test_the_tour_prints_what_it_says(tmp_path):
    """Each command in a process of its own, as a reader runs it."""
    settings = {**os.environ, "OMP_NUM_THREADS": "1", "COLUMNS": "80", "PYTHONPATH": str(ROOT / "src")}
    comparable = torch.backends.cpu.get_cpu_capability() == PRINTED_ON
    for block in blocks(ROOT / "docs" / "tour.md"):
        for command in commands(block.text) if block.language == "bash" else ():
            if command.wrote is not None:
                (tmp_path / command.words[-1]).write_text(command.wrote, encoding="utf-8")
                continue
            assert command.words[0] == "personascope", str(command)
            done = subprocess.run(
                [sys.executable, "-m", *command.words],
                cwd=tmp_path, env=settings, capture_output=True, text=True, check=False,
            )  # fmt: skip
            assert done.returncode == 0, done.stderr
        if block.language == "bash" and comparable:
            assert block.printed is not None, f"{block.page}:{block.line} does not say what is printed"
            assert agrees(done.stdout, block.printed), f"{block.page}:{block.line}\n{done.stdout}"


def test_a_wrong_number_is_seen():
    said = "AUC 0.91\n...\nLayer 3: ... best\n"
    assert agrees("AUC 0.91\nmore\nand more\nLayer 3: 0.8 best\n", said)
    assert agrees("AUC 0.91  \nLayer 3:  best", said)
    assert not agrees("AUC 0.92\nLayer 3: 0.8 best\n", said)
    assert not agrees("AUC 0.91\nLayer 3: 0.8 best\nmore\n", said)


def test_blocks_and_commands_are_read_as_a_shell_would(tmp_path):
    page = tmp_path / "page.md"
    page.write_text(
        "```bash\nfor t in $(ls | tail -1); do\n    echo ${t}_x $t; done   # a; b\nls \\\n -l\n```\n"
        "\n```text\nout\n```\n"
        "```bash\ncat > few.txt <<'END'\none; two\nEND\n```\n",
        encoding="utf-8",
    )
    first, second = blocks(page)
    assert (first.line, first.printed, second.printed) == (1, "out\n", None)
    assert commands(first.text) == [Command(("echo", f"{LOOPED}_x", LOOPED)), Command(("ls", "-l"))]
    assert commands(second.text) == [Command(("cat", ">", "few.txt"), "one; two\n")]
