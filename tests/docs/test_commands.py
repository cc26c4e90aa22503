"""Every command that a page shows has flags that the command knows."""

import re
import shlex
from pathlib import Path

import pytest

from jml.app import _evaluate_flags, _export
from jml.app._config import parse
from jml.app._console import COMMANDS
from jml.app._use import (
    _duplicates_command,
    _embed_flags,
    _index_command,
    _search_command,
    _threshold_command,
)
from jml.errors import UserError

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
PAGES = sorted(p for p in DOCS.rglob("*.md") if "_build" not in p.parts)
PAGES += [*sorted(ROOT.glob("*.md")), ROOT / "benchmarks" / "README.md"]
FENCE = re.compile(
    r"^(?P<fence>`{3,}|:{3,})(?:\{code-block\} ?)?(?:bash|console|sh|shell)\n"
    r"(?P<options>(?::\w+:.*\n)*)(?P<text>.*?)^(?P=fence)",
    flags=re.DOTALL | re.MULTILINE,
)
MARK = re.compile(r"^:caption: Shown, not run: \S", flags=re.MULTILINE)
# Commands whose parser needs nothing else.
MODULES = {
    "export": _export,
    "search": _search_command,
    "duplicates": _duplicates_command,
    "index": _index_command,
    "threshold": _threshold_command,
}


def commands(text):
    """The commands of a block of shell, as lists of words that begin with a program.

    A variable of the shell stands for 0.
    """
    text = text.replace("\\\n", " ")
    for line in text.splitlines():
        line = re.sub(r"\$\{?\w+\}?", "0", line.removeprefix("$ "))
        lexer = shlex.shlex(line, posix=True, punctuation_chars=True)
        lexer.whitespace_split = True
        words = []
        for word in [*lexer, ";"]:
            if word[0] in ";&|<>()":
                yield from find(words)
                words = []
            else:
                words.append(word)


def find(words):
    """The command of jml among the words, behind `srun`, variables and the like."""
    for number, word in enumerate(words):
        name, rest = Path(word).name, words[number + 1 :]
        if name == "jml" and rest[:1] and rest[0] in COMMANDS:
            yield rest
        elif name == "jml" and number == 0 and rest:
            yield rest
        elif name == "train_jax.py":
            yield ["train", *rest]
        elif word == "-m" and rest[:1] and rest[0].split(".")[0] == "jml":
            _, *module = rest[0].split(".")
            yield ["evaluate" if m == "evaluation" else m for m in module] + rest[1:]
        elif name.endswith(".py") and words[number - 1].endswith(("python", "python3")):
            yield [word]
        else:
            continue
        return


def check(words):
    """Parses the words with the parser of their command, which may exit for --help."""
    command, *rest = words or [""]
    if command.endswith(".py"):  # a script of the repository, or of the reader's
        known = not command.startswith(("benchmarks/", "examples/", "docs/", "tests/"))
        assert known or (ROOT / command).is_file(), command
    elif command in ("--help", "--version") or "--help" in rest:
        pass
    elif command == "train":
        parse(rest)
    elif command == "evaluate":
        _evaluate_flags.parse(rest, "jml evaluate")
    elif command == "embed":
        array = {"SLURM_ARRAY_TASK_ID": "0", "SLURM_ARRAY_TASK_MAX": "3"}
        _embed_flags.parse(rest, "jml embed", array)
    elif command in MODULES:
        parser = MODULES[command]._make_parser(f"jml {command}")
        parser.read(rest)
        parser.check()
    else:
        raise UserError(f"unknown command {command!r}")


def blocks(page):
    return FENCE.finditer(page.read_text(encoding="utf-8"))


@pytest.mark.parametrize("page", PAGES, ids=lambda p: str(p.relative_to(ROOT)))
def test_the_commands_of_a_page(page):
    for block in blocks(page):
        found = list(commands(block["text"]))
        for words in found:
            try:
                check(words)
            except UserError as error:
                pytest.fail(f"{shlex.join(words)}: {error}")
        if found and DOCS in page.parents:
            assert MARK.search(block["options"]), (
                f"{page.name}: a block with `{shlex.join(found[0])}` lacks"
                " `:caption: Shown, not run: needs ...`"
            )


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("$ jml train --loss triplet", [["train", "--loss", "triplet"]]),
        ("X=1 .venv/bin/jml evaluate runs/a  # all", [["evaluate", "runs/a"]]),
        ("cd a && python train_jax.py \\\n  --seed $i", [["train", "--seed", "0"]]),
        ("srun python -m jml.export r --to torch", [["export", "r", "--to", "torch"]]),
        ("python -m jml.evaluation a.npy b.npy", [["evaluate", "a.npy", "b.npy"]]),
        ("python -m jml train; ls", [["train"]]),
        ("for i in 0 1; do jml train --seed $i; done", [["train", "--seed", "0"]]),
        ("git clone x jml && cd jml", []),
        ("python benchmarks/gone.py", [["benchmarks/gone.py"]]),
    ],
)
def test_the_reader_of_pages_finds_the_commands_in_a_block(text, expected):
    assert list(commands(text)) == expected


@pytest.mark.parametrize(
    "words",
    [
        "train --los x",
        "evaluate a --flag",
        "export a --to x",
        "test",
        "train --loss triplet --margin x",
    ],
)
def test_the_check_of_pages_refuses_a_wrong_command(words):
    with pytest.raises(UserError):
        check(words.split())
