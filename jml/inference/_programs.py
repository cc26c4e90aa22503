"""What runs on the devices: from a batch of squares to embeddings."""

from collections.abc import Iterator
from functools import cached_property, partial
from typing import Any

import jax
import numpy as np
from jax.sharding import Mesh, PartitionSpec
from jaxtyping import Array

from jml._checks import check_count
from jml._value_checks import check_type
from jml.data import center_crop_normalize
from jml.errors import UserError
from jml.models import Model
from jml.training import data_mesh, replicate, replicated_sharding, split_batch

from ._description import Description
from ._embedder import Embedder, images_at_once
from ._inputs import Inputs
from ._stream import Embedded, OnBad, Program, embed_stream


class Programs:
    """The programs of one network, on all devices of this process."""

    def __init__(self, description: Description, network: Model | Any) -> None:
        """Compiles nothing yet."""
        self._description, self._network = description, network
        self._made: dict[bool, Program] = {}

    @cached_property
    def mesh(self) -> Mesh:
        """The devices, which share each batch."""
        return data_mesh(jax.local_devices())

    def of(self, bfloat16: bool | None) -> Program:
        """The program with convolutions in bfloat16 or not; None: as in training.

        Raises:
            UserError: there is none, as an exported function has its precision.
        """
        trained = self._description.precision == "bfloat16"
        half = trained if bfloat16 is None else bfloat16
        if half not in self._made:
            crop = self._description.image_size
            if isinstance(self._network, Model):
                made = network_program(self._network, crop, self.mesh, bfloat16=half)
            elif half == trained:
                made = function_program(self._network, crop, self.mesh)
            else:
                raise UserError(
                    "`bfloat16`: an exported function has its precision; leave it out,"
                    " or load the run."
                )
            self._made[half] = made
        return self._made[half]

    def stream(
        self,
        name: str,
        inputs: Inputs,
        batch_size: int,
        bfloat16: bool | None,
        on_bad: OnBad | None,
    ) -> Iterator[Embedded]:
        """`embed_stream` with arguments of the public function `name`, checked."""
        check_count(name, "batch_size", batch_size)
        check_type(name, "bfloat16", bfloat16, bool | None, "True, False or None")
        # As many for few images: another size would be another program.
        size = images_at_once(self.mesh, inputs.side, batch_size, batch_size)
        return embed_stream(inputs, self.of(bfloat16), size, on_bad)


def network_program(model: Model, crop: int, mesh: Mesh, *, bfloat16: bool) -> Program:
    """The program that evaluation runs, on all devices of a mesh."""
    prepare = partial(center_crop_normalize, crop=crop)
    embedder = Embedder(model.graphdef, prepare, mesh, bfloat16=bfloat16)
    params, stats = replicate(mesh, (model.params, model.batch_stats))
    return lambda pixels, size: embedder.run(params, stats, pixels, size=size)


def function_program(exported: Any, crop: int, mesh: Mesh) -> Program:
    """An exported function, on all devices of a mesh."""
    by_rows = PartitionSpec(mesh.axis_names[0])

    @partial(jax.jit, out_shardings=replicated_sharding(mesh))
    def run(images: Array) -> Array:
        at = round((images.shape[1] - crop) / 2)  # as center_crop_normalize does
        images = images[:, at : at + crop, at : at + crop]
        call = jax.shard_map(
            exported.call, mesh=mesh, in_specs=by_rows, out_specs=by_rows
        )
        return call(images)

    def padded(pixels: np.ndarray, size: int) -> Array:
        missing = size - len(pixels)
        pixels = np.pad(pixels, [(0, missing), (0, 0), (0, 0), (0, 0)])
        return run(split_batch(mesh, pixels))

    return padded
