"""The console command ``jml``, and ``python -m jml``: one sub-command for each task."""

import argparse
import sys
from collections.abc import Sequence
from functools import partial

from jml import __version__
from jml._names import quoted
from jml._output import write_out
from jml.app._command import exit_code
from jml.app._parser import Parser
from jml.app._values import suggest
from jml.errors import UserError

PROGRAM = "jml"
COMMANDS = {
    "train": "train a network and measure its retrieval",
    "evaluate": "evaluate a run, or embeddings in .npy files, and write a report",
    "embed": "embed a folder of images, a list, or the test images of a run",
    "export": "write the network of a run for PyTorch, or for JAX alone",
    "search": "find the images that are most like others",
    "duplicates": "list groups of embedded images that are near each other",
    "index": "write the index of embeddings that a service loads",
    "threshold": "find the distances at which two images count as the same",
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the command; returns its exit code, which ``jml.app._command`` explains."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    program = f"{PROGRAM} {words[0]}" if words else PROGRAM
    match words[:1]:  # one command does not wait for the imports of the others
        case ["train"]:
            from jml.app._train_command import main as train

            return train(words[1:], program=program)
        case ["evaluate"]:
            from jml.app._evaluate import main as evaluate

            return evaluate(words[1:], program=program)
        case ["embed"]:
            from jml.app._use._embed_command import main as embed

            return embed(words[1:], program=program)
        case ["export"]:
            from jml.app._export import main as export

            return export(words[1:], program=program)
        case ["search"]:
            from jml.app._use._search_command import main as search

            return search(words[1:], program=program)
        case ["duplicates"]:
            from jml.app._use._duplicates_command import main as duplicates

            return duplicates(words[1:], program=program)
        case ["index"]:
            from jml.app._use._index_command import main as index

            return index(words[1:], program=program)
        case ["threshold"]:
            from jml.app._use._threshold_command import main as threshold

            return threshold(words[1:], program=program)
    return exit_code(PROGRAM, partial(_run, words))


def _run(words: list[str]) -> None:
    lines = [f"  {name:<12}{text}" for name, text in COMMANDS.items()]
    parser = Parser(
        prog=PROGRAM,
        usage="jml COMMAND [--flag value ...]",
        description="Deep metric learning in JAX.",
        epilog="\n".join(
            ["commands:", *lines, "", "jml COMMAND --help lists the flags of one."]
        ),
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument("--version", action="store_true", help="print the version")
    options, rest = parser.parse_known_args(words)
    if options.version and not rest:
        write_out(f"jml {__version__}")
        return
    *others, last = COMMANDS
    raise UserError(
        f"{_problem(rest)}choose {', '.join(others)} or {last}, or see --help."
    )


def _problem(words: list[str]) -> str:
    if not words:
        return "no command; "
    word = words[0].partition("=")[0]
    if word.startswith("-"):
        return f"unknown flag {quoted(word)}; {suggest(word, ('--help', '--version'))}"
    return f"unknown command {quoted(word)}; {suggest(word, tuple(COMMANDS))}"
