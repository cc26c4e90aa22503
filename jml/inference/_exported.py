"""A network that was exported as a function of images, for JAX alone."""

from pathlib import Path
from typing import Any

from jax import export

from jml._names import quoted
from jml.errors import UserError

from ._description import Description


def read_function(path: Path, description: Description) -> export.Exported:
    """Reads a function from uint8 images [b, side, side, 3] to embeddings [b, d].

    The file is a flatbuffer: a program for XLA, and nothing that Python would run.

    Raises:
        UserError: it cannot be read, or is another function.
    """
    side, dim = description.image_size, description.embedding_dim
    try:
        exported = export.deserialize(bytearray(path.read_bytes()))
        kinds = [_kind(x) for x in (*exported.in_avals, *exported.out_avals)]
        known = [("uint8", (side, side, 3)), ("float32", (dim,))]
        whole = kinds == known and len(exported.in_avals) == 1
    except Exception as error:  # a damaged flatbuffer raises anything
        raise UserError(
            f"`path`: cannot read {quoted(path)}: {type(error).__name__}; export it"
            " anew with jml export."
        ) from None
    if not whole:
        raise UserError(
            f"`path`: {quoted(path)} is no function of images as its description has"
            " them; export it anew with jml export."
        )
    return exported


def _kind(aval: Any) -> tuple[str, tuple[int, ...]]:
    return str(aval.dtype), tuple(aval.shape[1:])
