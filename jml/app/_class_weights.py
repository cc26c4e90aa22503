"""The class weights of a run: their beginning, their places, and a step's sample.

By default each device has all of them, and a batch is compared with all classes. With
``--shard_classes`` the devices have equal parts, and with ``--sample_classes`` a step
draws some of the classes.
"""

import math
from collections.abc import Callable
from typing import Any, NamedTuple, TypeVar

import jax
import jax.numpy as jnp
from jax.sharding import Mesh, PartitionSpec
from jaxtyping import Array

from jml._loss_specs import SPECS
from jml.app._config import Config
from jml.errors import UserError
from jml.losses import init_class_weights, init_proxies, sample_classes
from jml.training import batch_sharding

T = TypeVar("T")

# Rows of spread weights are filled up to a multiple of this, so that a run may go on
# with another number of devices that divides it.
ROWS = 64


class ClassPlan(NamedTuple):
    """How the class weights of a run lie, and with how many a batch is compared."""

    num_classes: int
    rows: int  # of the weights; those after the classes stand for none
    sample: int | None = None  # rows that a device draws for a step; None: all
    mesh: Mesh | None = None  # the devices with equal parts; None: each has all rows

    @property
    def devices(self) -> int:
        """Over how many devices the rows are spread."""
        return 1 if self.mesh is None else self.mesh.size

    @property
    def notes(self) -> tuple[str, ...]:
        """A line on rows that stand for no class."""
        if self.rows == self.num_classes:
            return ()
        multiple = math.lcm(ROWS, self.devices)
        return (
            f"--shard_classes: {self.num_classes} classes have {self.rows} rows of"
            f" weights, a multiple of {multiple} that devices can share; the last"
            f" {self.rows - self.num_classes} stand for no class",
        )


class ClassView(NamedTuple):
    """What a loss has to know of the weights that it is given."""

    classes: Array | None = None  # the class of each row; None: 0, 1, ...
    axis_name: str | None = None  # over which the batch and the classes are spread


def plan_classes(
    config: Config, num_classes: int, mesh: Mesh | None
) -> ClassPlan | None:
    """The plan of a run; None if its loss has no class weights.

    Raises:
        UserError: a sample cannot hold the classes of a batch, or is more than all; or
            several processes would share the classes.
    """
    if SPECS[config.loss].proxies is None:
        return None
    plan = ClassPlan(num_classes, num_classes)
    if config.shard_classes and mesh is not None:
        if jax.process_count() > 1:
            raise UserError(
                "--shard_classes: the devices of one process can share the classes, got"
                f" {jax.process_count()} processes; leave it out."
            )
        rows = num_classes + -num_classes % math.lcm(ROWS, mesh.size)
        plan = ClassPlan(num_classes, rows, mesh=mesh)
    return plan._replace(sample=_sample_of_a_device(config, plan))


def _sample_of_a_device(config: Config, plan: ClassPlan) -> int | None:
    size, known = config.sample_classes, plan.num_classes
    if size is None or size == known:
        return None
    if size > known:
        raise UserError(
            f"--sample_classes: {size} is more than the {known} classes to train on;"
            f" pass {known} or fewer."
        )
    of_class = config.images_per_class if config.sampler == "pk" else 1
    share = min(plan.rows // plan.devices, known)
    needed = min(config.batch_size // of_class, share)  # all of them on one device
    drawn = min(-(-size // plan.devices), share)
    if drawn < needed:
        where = f" in the part of each of {plan.devices} devices" * (plan.devices > 1)
        raise UserError(
            f"--sample_classes: {size} may lack classes of a batch, which can have"
            f" {needed}{where}; pass {min(needed * plan.devices, known)} or more, or a"
            " smaller --batch_size."
        )
    return drawn


def draw_weights(config: Config, plan: ClassPlan, key: Array) -> Array:
    """The class weights before the first step, in their places."""
    options = {"num_classes": plan.num_classes, "dim": config.embedding_dim}

    def draw() -> Array:
        if config.centers in (None, 1):
            weights = init_proxies(key, **options)
        else:
            weights = init_class_weights(key, **options, centers=config.centers)
        missing = plan.rows - plan.num_classes
        return jnp.pad(weights, [(0, missing), *[(0, 0)] * (weights.ndim - 1)])

    if plan.mesh is None:
        return draw()
    # Compiled, so that no device makes more than its part.
    return jax.jit(draw, out_shardings=batch_sharding(plan.mesh))()


def on_classes(
    plan: ClassPlan | None,
    function: Callable[[Array, Array, Any, Any, ClassView], T],
    embeddings: Array,
    labels: Array,
    proxies: Array | None,
    shared: Any,
    key: Array | None,
) -> T:
    """Calls a function with the class weights that a step compares its batch with.

    Args:
        plan: of the run; None for a loss without class weights.
        function: of the embeddings, the labels, the class weights, `shared` and a
            `ClassView`. What it returns must be the same on all devices.
        embeddings: the batch.
        labels: its classes.
        proxies: all class weights; or None.
        shared: arrays that every device gets.
        key: from which samples are drawn.
    """
    if plan is None or proxies is None:
        return function(embeddings, labels, proxies, shared, ClassView())
    axis = None if plan.mesh is None else str(plan.mesh.axis_names[0])
    classes = None
    if plan.rows > plan.num_classes:
        classes = jnp.arange(plan.rows)
        classes = jnp.where(classes < plan.num_classes, classes, -1)

    def on_device(embeddings, labels, weights, classes, shared, key):
        if plan.sample is not None:
            rows, drawn = sample_classes(
                key,
                labels,
                num_classes=len(weights),
                size=plan.sample,
                axis_name=axis,
                class_axis_name=axis,
            )
            classes = drawn if classes is None else classes[rows]
            weights = weights[rows]
        return function(embeddings, labels, weights, shared, ClassView(classes, axis))

    arguments = embeddings, labels, proxies, classes, shared, key
    if plan.mesh is None:
        return on_device(*arguments)
    part, whole = PartitionSpec(axis), PartitionSpec()
    specs = part, part, part, part, whole, whole
    return jax.shard_map(on_device, mesh=plan.mesh, in_specs=specs, out_specs=whole)(
        *arguments
    )
