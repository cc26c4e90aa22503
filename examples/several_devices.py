"""One batch on several devices: with a sharded `jit`, and inside `jax.shard_map`.

On a machine with one CPU, XLA can play several devices:

    export XLA_FLAGS=--xla_force_host_platform_device_count=4
    python examples/several_devices.py
"""

from functools import partial

import jax
import numpy as np
from jax.sharding import AxisType, NamedSharding
from jax.sharding import PartitionSpec as P

from jml import losses


def loss_of(weights, x, labels, **options):
    """A linear network and a loss over all pairs of the batch."""
    return losses.multi_similarity_loss(x @ weights, labels, **options)


def main():
    """Computes the same loss and gradient in three ways, and compares them."""
    mesh = jax.make_mesh((jax.device_count(),), ("data",), axis_types=(AxisType.Auto,))
    rng = np.random.default_rng(0)
    labels = np.arange(512) // 4
    x = (np.eye(128, 64)[labels] + rng.normal(size=(512, 64)) / 4).astype(np.float32)
    weights = rng.normal(size=(64, 16)).astype(np.float32) / 8
    alone = jax.jit(jax.value_and_grad(loss_of))(weights, x, labels)
    print(f"1 device: loss {alone[0]:.6f}")

    # The rows of the batch lie on all devices; the weights on each of them.
    rows, everywhere = NamedSharding(mesh, P("data")), NamedSharding(mesh, P())
    x, labels = jax.device_put((x, labels), rows)
    weights = jax.device_put(weights, everywhere)

    # First way: the code stays as it is, and the compiler spreads the work.
    sharded = jax.jit(jax.value_and_grad(loss_of))(weights, x, labels)

    # Second way: each device sees its own rows, and `axis_name` says who has the rest.
    def local(weights, x, labels):
        return loss_of(weights, x, labels, axis_name="data")

    specs = {"in_specs": (P(), P("data"), P("data")), "out_specs": P()}
    spread = jax.shard_map(local, mesh=mesh, **specs)
    mapped = jax.jit(jax.value_and_grad(spread))(weights, x, labels)

    close = partial(np.testing.assert_allclose, rtol=1e-4, atol=1e-6)
    for name, result in (("sharded jit", sharded), ("shard_map", mapped)):
        jax.tree.map(close, result, alone)
        print(f"{mesh.size} devices, {name}: loss {result[0]:.6f}, same gradient")
    print(f"anchors on each device: {len(x) // mesh.size} of {len(x)}")


if __name__ == "__main__":
    main()
