"""The flags of ``jml embed``, checked before JAX is loaded."""

import os
from argparse import Namespace
from collections.abc import Mapping
from pathlib import Path

from jml._names import quoted
from jml.app._parser import Parser, add_no_compile_cache
from jml.errors import UserError

from ._place import is_one_of
from ._shard import Shard, read_shard

PRECISIONS = ("float32", "bfloat16")


def _make_parser(program: str) -> Parser:
    parser = Parser(
        prog=program,
        description="Embed images by the network of a run, or of an exported file.",
    )
    add = parser.add_argument
    add("run", type=Path, help="folder of the run, or a file of jml export")
    add(
        "images",
        type=Path,
        nargs="?",
        help="folder of images, or a text file with a path in each line (default: the"
        " run's own test images)",
    )
    add(
        "--out",
        type=Path,
        required=True,
        help="X.parquet; or X.npy, with the paths in X.csv",
    )
    add(
        "--shard",
        metavar="I/N",
        help="every N-th image, from image I on, into a folder X.parquet that N"
        " machines fill; auto: I and N of a job array, auto/N: I alone",
    )
    add("--best", action="store_true", help="weights of the best Recall@1")
    add(
        "--precision",
        type=parser.value("precision", str, choices=PRECISIONS),
        metavar="|".join(PRECISIONS),
        help="precision of the convolutions (default: that of the training)",
    )
    for name, default, words in (
        ("batch_size", 64, "images in a batch; CPUs choose their own"),
        ("part_size", 1024, "images in a part, which is written at once"),
    ):
        kind = parser.value(name, int, minimum=1)
        add(
            f"--{name}",
            type=kind,
            default=default,
            metavar="N",
            help=f"{words} (default: {default})",
        )
    add("--dataroot", metavar="FOLDER", help="where the run's data set is now")
    add("--overwrite", action="store_true", help="replacement of earlier embeddings")
    add_no_compile_cache(parser)
    return parser


def parse(
    words: list[str], program: str, variables: Mapping[str, str] = os.environ
) -> tuple[Namespace, Shard | None]:
    """Reads the flags, and the shard that they name.

    Raises:
        UserError: about all that is wrong with them.
    """
    parser = _make_parser(program)
    options = parser.read(words)
    shard, out = None, getattr(options, "out", None)
    if getattr(options, "shard", None) is not None:
        try:
            shard = read_shard(options.shard, variables)
        except UserError as error:
            parser.problems.append(str(error))
    if out is not None and out.suffix.lower() not in (".parquet", ".npy"):
        parser.problems.append(
            f"--out: {quoted(out)} ends in neither .parquet nor .npy; choose one."
        )
    elif out is not None and shard is not None and out.suffix.lower() == ".npy":
        parser.problems.append(
            f"--out: {quoted(out)} must end in .parquet, as --shard makes a folder of"
            " parts."
        )
    if out is not None and not out.parent.is_dir():
        parser.problems.append(
            f"--out: {quoted(out.parent)} is no folder; choose another."
        )
    images = getattr(options, "images", None)
    if out is not None and images is not None:
        beside = (".csv", ".json") if out.suffix.lower() == ".npy" else ()
        parser.problems += [
            f"--out: {quoted(path)}, which is read, would be replaced; choose another."
            for suffix in (out.suffix, *beside, ".unreadable.txt")
            if is_one_of(path := out.with_name(f"{out.stem}{suffix}"), [images])
        ]
    parser.check()
    return options, shard
