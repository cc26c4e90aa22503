"""What can be asked of losses.py."""

import argparse
import itertools
from importlib.util import find_spec

from arguments import folder, positive, positive_number

from jml.app._parser import Parser
from jml.errors import UserError


def parse(description):
    """The options of losses.py."""
    from loss_steps import LOSSES, PEERS

    names, sizes = ["products alone", *LOSSES], [64 * 2**i for i in range(9)]
    parser = Parser(
        description=description, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    several, number = {"nargs": "+", "type": positive}, {"type": positive_number}
    add = parser.add_argument
    add("--sizes", **several, help="of batches (64 to 16384)")
    add("--dims", **several, help="numbers an embedding (128 512)")
    add("--per-class", **several, help="items a class (4 64)")
    add("--losses", nargs="+", default=names, choices=names, help="which (all)")
    text = "which (all, for which torch and pytorch-metric-learning are needed); none"
    text += " after the flag: JML alone"
    add("--peers", nargs="*", choices=PEERS, help=text)
    add("--dtype", default="float32", choices=["float32", "bfloat16"], help="(float32)")
    add("--seconds", **number, default=0.3, help="of one turn, of three (0.3)")
    add("--limit", **number, default=120, help="seconds of one peer (120)")
    add("--most-gib", **number, default=12, help="memory of one peer (12)")
    text = "by default B = 512, D = 128, 4 a class, uncompiled peers"
    add("--quick", action="store_true", help=text)
    add("--out", type=folder, help="folder for JSON and a plot")
    options = parser.parse_args()
    quick = options.quick
    options.sizes = options.sizes or ([512] if quick else sizes)
    options.dims = options.dims or ([128] if quick else [128, 512])
    options.per_class = options.per_class or ([4] if quick else [4, 64])
    if options.peers is None:
        options.peers = [p for p in PEERS if not (quick and "compiled" in p)]
    check(options)
    return options


def check(options):
    """Raises UserError for options that do not go together, or not here."""
    for size, per_class in itertools.product(options.sizes, options.per_class):
        if size % per_class:
            raise UserError(
                f"--sizes: {size} must be a multiple of --per-class {per_class}."
            )
    for package in packages(options.peers):
        if find_spec(package.replace("-", "_")) is None:
            raise UserError(
                f"--peers: {package} is not installed; pip install {package}, or give "
                "--peers with nothing after it for JML alone."
            )
    if options.out and (options.out / "losses.json").exists():
        raise UserError(
            f"--out: {options.out} has the losses.json of another run; name another "
            "folder."
        )
    if options.out:
        try:
            options.out.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise UserError(
                f"--out: {options.out} cannot be a folder: {error.strerror}."
            ) from None


def packages(peers):
    """What has to be installed, and is named with the results."""
    needed = ["jax"]
    needed += ["torch"] if peers else []
    pml = any(peer.startswith("PML") for peer in peers)
    return [*needed, *(["pytorch-metric-learning"] if pml else [])]
