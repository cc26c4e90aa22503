"""Takes a run's network elsewhere.

python -m jml.export RUN --to torch        # a state dict, for torchvision's ResNet
python -m jml.export RUN --to safetensors  # the same, without PyTorch
python -m jml.export RUN --to stablehlo    # images in, embeddings out: JAX alone

JAX reads the last with flatbuffers, which writes it, too.
"""

from collections.abc import Sequence
from functools import partial
from pathlib import Path

from jml._optional import need
from jml._output import write_out
from jml.app._command import exit_code
from jml.app._parser import Parser
from jml.errors import UserError, reason_of

PROGRAM = "python -m jml.export"
SUFFIXES = {"torch": ".pth", "safetensors": ".safetensors", "stablehlo": ".jax"}
PACKAGES = {"torch": "torch", "safetensors": "safetensors", "stablehlo": "flatbuffers"}
PLATFORMS = ("cpu", "cuda")


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the command; returns its exit code, which ``jml.app._command`` explains."""
    return exit_code(PROGRAM, partial(_run, arguments))


def _run(arguments: Sequence[str] | None) -> None:
    parser = Parser(prog=PROGRAM, description="Export a run's network.")
    parser.add_argument("run", type=Path, help="the run's folder")
    parser.add_argument("--to", choices=SUFFIXES, required=True, help="the format")
    parser.add_argument("--best", action="store_true", help="not the last weights")
    parser.add_argument("--out", type=Path, help="default: RUN/model.SUFFIX")
    parser.add_argument("--overwrite", action="store_true", help="replace --out")
    options = parser.parse_args(arguments)
    out = options.out or options.run / f"model{SUFFIXES[options.to]}"
    if out.is_dir():
        raise UserError(f"--out: {str(out)!r} is a folder; pass the name of a file.")
    if out.exists() and not options.overwrite:
        raise UserError(
            f"--out: {str(out)!r} exists; choose another, or pass --overwrite."
        )
    need(f"--to {options.to}", PACKAGES[options.to], "safetensors")
    from jml._whole_files import replace
    from jml.app._run_folder._finished_run import load_model, read_config

    config = read_config(options.run)
    which = "best" if options.best else "last"
    model = load_model(options.run, config, which=which)
    if not out.parent.is_dir():
        raise UserError(f"--out: {str(out.parent)!r} is no folder; choose another.")
    write = {
        "torch": _write_torch,
        "safetensors": _write_safetensors,
        "stablehlo": partial(_write_stablehlo, crop=config.image_size),
    }[options.to]
    try:
        replace(out, partial(write, model=model))
    except (OSError, RuntimeError) as error:  # PyTorch's, of a full disk
        reason = getattr(error, "strerror", None) or reason_of(error)
        raise UserError(
            f"--out: cannot write {str(out)!r}: {reason}; free or choose another place."
        ) from None
    write_out(f"written: {out}")
    if options.to == "stablehlo":
        write_out(
            "to read it: jax.export.deserialize(bytearray(open(path, 'rb').read())), by"
            " jax and flatbuffers (pip install jax flatbuffers)"
        )
    if options.to != "stablehlo" and config.l2norm:
        write_out("its outputs are to be divided by their length: the run has --l2norm")


def _write_torch(path: Path, model) -> None:
    import torch

    from jml.models import to_state_dict

    state = to_state_dict(model.params, model.batch_stats)
    torch.save({name: torch.from_numpy(a) for name, a in state.items()}, path)


def _write_safetensors(path: Path, model) -> None:
    from jml.models import save_weights

    save_weights(path, model.params, model.batch_stats)


def _write_stablehlo(path: Path, model, *, crop: int) -> None:
    """A function of uint8 images [b, crop, crop, 3], weights and all inside."""
    import jax
    import jax.numpy as jnp

    from jml.data import center_crop_normalize
    from jml.models import embed

    def embed_images(images):
        return embed(*model, center_crop_normalize(images, crop=crop), train=False)[0]

    (batch,) = jax.export.symbolic_shape("b")
    images = jax.ShapeDtypeStruct((batch, crop, crop, 3), jnp.uint8)
    exported = jax.export.export(jax.jit(embed_images), platforms=PLATFORMS)(images)
    path.write_bytes(exported.serialize())
