"""``jml embed``: the embeddings of a folder of images, of a list, of the test images.

jml embed runs/NAME pictures --out pictures.parquet
"""

import signal
import sys
from argparse import Namespace
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from jml import __version__
from jml._names import quoted
from jml._optional import counted_bar, need
from jml._output import write_err, write_out
from jml._whole_files import replace, writing
from jml.app._command import exit_code
from jml.app._early_exit import loading
from jml.app._flags_of_arguments import flags_for, of_finished_run
from jml.app._use._embed_flags import parse
from jml.errors import Interrupted

if TYPE_CHECKING:
    from jml.app._use._shard import Shard
    from jml.app._use._what_to_embed import ToEmbed
    from jml.inference import EmbeddingParts, Part, TrainedModel

PROGRAM = "jml embed"
SEPARATORS = str.maketrans({"\t": "\\t", "\n": "\\n", "\r": "\\r"})
ARGUMENTS = {
    "batch_size": "--batch_size",
    "best": "--best",
    "bfloat16": "--precision",
    "images": "images",
    "overwrite": "--overwrite",
    "path": "--out",
}


def main(arguments: Sequence[str] | None = None, *, program: str = PROGRAM) -> int:
    """Runs the command; returns its exit code, which ``jml.app._command`` explains."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    return exit_code(program, partial(_run, words, program))


def _run(words: list[str], program: str) -> None:
    options, shard = parse(words, program)
    with loading():
        need("embedding images", "PIL", "safetensors")
        if options.out.suffix.lower() == ".parquet":
            need(f"writing {quoted(options.out)}", "pyarrow")
        from jml.app._compile_cache import keep_programs
        from jml.app._use._what_to_embed import what_to_embed
        from jml.inference import EmbeddingParts, load
    if not options.no_compile_cache:
        keep_programs()
    with of_finished_run(), flags_for(**ARGUMENTS | {"path": "run"}):
        model = load(options.run, best=options.best)
        wanted = what_to_embed(options.run, options.images, options.dataroot)
    for note in wanted.notes:
        write_err(note)
    facts = {**model.model, "version": __version__, "root": wanted.root}
    if options.precision is not None:
        facts["precision"] = options.precision
    with flags_for(**ARGUMENTS):
        parts = EmbeddingParts(
            options.out,
            wanted.names,
            wanted.labels,
            facts,
            shard=0 if shard is None else shard.number,
            shards=None if shard is None else shard.of,
            size=options.part_size,
        )
        missing = parts.begin(overwrite=options.overwrite)
        if missing:
            _embed(options, model, wanted, parts, missing)
        _finish(options.out, shard, wanted, parts, begun=bool(missing))


def _embed(
    options: Namespace,
    model: "TrainedModel",
    wanted: "ToEmbed",
    parts: "EmbeddingParts",
    missing: "Sequence[Part]",
) -> None:
    from jml.app._use._embed_in_parts import embed_in_parts

    images = sum(len(part.rows()) for part in missing)
    all_images = sum(len(part.rows()) for part in parts.parts())
    before = f", {all_images - images:,} are done" if images < all_images else ""
    write_err(f"embedding {images:,} images{before}")
    bfloat16 = None if options.precision is None else options.precision == "bfloat16"
    try:
        embed_in_parts(
            model,
            wanted,
            parts,
            missing,
            progress=counted_bar("embedding"),
            batch_size=options.batch_size,
            bfloat16=bfloat16,
        )
    except KeyboardInterrupt as error:
        done = f"the same command goes on after the last whole part of {options.out}"
        raise Interrupted(
            getattr(error, "number", signal.SIGINT), f"({done})"
        ) from None


def _finish(
    out: Path,
    shard: "Shard | None",
    wanted: "ToEmbed",
    parts: "EmbeddingParts",
    *,
    begun: bool,
) -> None:
    unreadable = _list_unreadable(out, shard, wanted, parts) if begun or shard else 0
    images = parts.finish()
    if unreadable:
        listed = _unreadable_file(out, shard)
        noun, them = ("images", "them") if unreadable > 1 else ("image", "it")
        write_err(f"{unreadable:,} {noun} cannot be read; {listed} lists {them}")
    whole = "written" if begun else "whole already"
    of = "" if shard is None else f", shard {shard.number} of {shard.of}"
    write_out(f"{whole}: {out}{of} ({images:,} embeddings)")


def _unreadable_file(out: Path, shard: "Shard | None") -> Path:
    of = "" if shard is None else f".{shard.number}-of-{shard.of}"
    return out.with_name(f"{out.stem}.unreadable{of}.txt")


def _list_unreadable(
    out: Path, shard: "Shard | None", wanted: "ToEmbed", parts: "EmbeddingParts"
) -> int:
    """Writes the paths of unreadable images, and why, a line each; counts them.

    Names keep their bytes, but for what would end a column or a line.
    """
    unreadable, path = parts.unreadable(), _unreadable_file(out, shard)
    names = {row: wanted.names[row].translate(SEPARATORS) for row in unreadable}
    lines = [f"{names[row]}\t{why}\n" for row, why in unreadable.items()]
    text = "".join(lines).encode("utf-8", "surrogateescape")
    with writing(path, "--out"):
        if lines:
            replace(path, lambda unfinished: unfinished.write_bytes(text))
        else:
            path.unlink(missing_ok=True)  # that of an earlier file
    return len(unreadable)
