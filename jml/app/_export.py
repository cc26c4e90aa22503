"""Writes the network of a run for other programs.

python -m jml.export RUN --to torch        # a state dict, for torchvision's ResNet
python -m jml.export RUN --to safetensors  # the same, without PyTorch
python -m jml.export RUN --to stablehlo    # images in, embeddings out: JAX alone

``jml export`` is the same. Beside FILE it writes FILE.json, with which `jml.load`
reads it. JAX needs flatbuffers to write StableHLO, and to read it.
"""

import sys
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jml._names import quoted
from jml._optional import need
from jml._output import write_out
from jml._whole_files import cannot_write, replace
from jml.app._command import exit_code
from jml.app._early_exit import loading
from jml.app._flags_of_arguments import of_finished_run
from jml.app._parser import Parser, add_no_compile_cache
from jml.errors import UserError, reason_of

if TYPE_CHECKING:
    from jml.app._config import Config
    from jml.models import Model

PROGRAM = "python -m jml.export"
SUFFIXES = {"torch": ".pth", "safetensors": ".safetensors", "stablehlo": ".jax"}
PACKAGES = {"torch": "torch", "safetensors": "safetensors", "stablehlo": "flatbuffers"}
PLATFORMS = ("cpu", "cuda")
Tensors = dict[str, Any]  # NumPy's arrays, which is loaded later


def main(arguments: Sequence[str] | None = None, *, program: str = PROGRAM) -> int:
    """Runs the command; returns its exit code, which ``jml.app._command`` explains."""
    return exit_code(program, partial(_run, arguments, program))


def _make_parser(program: str) -> Parser:
    parser = Parser(prog=program, description="Export a run's network.")
    add = parser.add_argument
    add("run", type=Path, help="folder of the run")
    add(
        "--to",
        type=parser.value("to", str, choices=tuple(SUFFIXES)),
        metavar="|".join(SUFFIXES),
        required=True,
        help="format: a PyTorch state dict, the same in safetensors, or StableHLO",
    )
    add(
        "--best",
        action="store_true",
        help="weights of the best Recall@1",
    )
    add(
        "--with_weights",
        action="store_true",
        help="class weights of the loss in the same file, as the tensor class_weights",
    )
    add("--out", type=Path, help="file to write; default: model.SUFFIX in the folder")
    add("--overwrite", action="store_true", help="replacement of an earlier file")
    add_no_compile_cache(parser)
    return parser


def _run(arguments: Sequence[str] | None, program: str) -> None:
    parser = _make_parser(program)
    options = parser.read(sys.argv[1:] if arguments is None else arguments)
    parser.check()
    out = options.out or options.run / f"model{SUFFIXES[options.to]}"
    if out.is_dir():
        raise UserError(f"--out: {quoted(out)} is a folder; pass the name of a file.")
    for place in (out, out.with_name(f"{out.name}.json")):  # and its description
        if place.exists() and not options.overwrite:
            raise UserError(
                f"--out: {quoted(place)} exists; choose another, or pass --overwrite."
            )
    if options.with_weights and options.to == "stablehlo":
        raise UserError(
            "--with_weights: --to stablehlo writes a function of images alone; leave it"
            " out, or pass --to safetensors or torch."
        )
    with loading():
        need(f"--to {options.to}", PACKAGES[options.to], "safetensors")
        from jml.app._compile_cache import keep_programs
        from jml.app._run_folder import load_class_weights, load_model, read_config
    if not options.no_compile_cache:
        keep_programs()
    config = read_config(options.run)
    which = "best" if options.best else "last"
    with of_finished_run():
        model = load_model(options.run, config, which=which)
    others = {}
    if options.with_weights:
        others = load_class_weights(options.run, config, which=which)
    if not out.parent.is_dir():
        raise UserError(f"--out: {quoted(out.parent)} is no folder; choose another.")
    writers = {
        "torch": partial(_write_torch, others=others),
        "safetensors": partial(_write_safetensors, others=others),
        "stablehlo": partial(_write_stablehlo, crop=config.image_size),
    }
    try:
        writers[options.to](out, model)
        _describe(out, options.run, config, which, options.to)
    except (OSError, RuntimeError) as error:  # the latter of PyTorch: a full disk
        reason = getattr(error, "strerror", None) or reason_of(error)
        raise cannot_write(out, reason, "--out") from None
    write_out(f"written: {out}")
    if options.to == "stablehlo":
        write_out(
            "to read it: jax.export.deserialize(bytearray(open(path, 'rb').read())), by"
            " jax and flatbuffers (pip install jax flatbuffers)"
        )
    elif config.l2norm:
        write_out("its outputs are to be divided by their length: the run has --l2norm")


def _describe(path: Path, run: Path, config: "Config", which: str, to: str) -> None:
    """Writes beside an exported file what `jml.load` must know of it."""
    from jml.app._run_folder import WEIGHTS
    from jml.inference import Description, write_description

    description = Description(
        arch=config.arch,
        embedding_dim=config.embedding_dim,
        l2norm=config.l2norm,
        image_size=config.image_size,
        precision="float32" if to == "stablehlo" else config.precision,
    )
    write_description(path, description, weights=run / WEIGHTS[which])


def _write_torch(path: Path, model: "Model", *, others: Tensors) -> None:
    import torch

    from jml.models import to_state_dict

    state = to_state_dict(model.params, model.batch_stats)
    state |= others
    tensors = {name: torch.from_numpy(array) for name, array in state.items()}
    replace(path, partial(torch.save, tensors))


def _write_safetensors(path: Path, model: "Model", *, others: Tensors) -> None:
    from jml.models import save_weights

    save_weights(path, model.params, model.batch_stats, others=others)


def _write_stablehlo(path: Path, model: "Model", *, crop: int) -> None:
    """A function of uint8 images [b, crop, crop, 3] that holds the weights itself."""
    import jax
    import jax.numpy as jnp
    from jax import export

    from jml.data import center_crop_normalize
    from jml.models import embed

    def embed_images(images):
        return embed(*model, center_crop_normalize(images, crop=crop), train=False)[0]

    (batch,) = export.symbolic_shape("b")
    images = jax.ShapeDtypeStruct((batch, crop, crop, 3), jnp.uint8)
    exported = export.export(jax.jit(embed_images), platforms=PLATFORMS)(images)
    replace(path, lambda unfinished: unfinished.write_bytes(exported.serialize()))
