"""The small training with its step traced: for a process that forks others."""

from jax._src import xla_bridge

from tests.training import own_network

own_network.trace()
if getattr(xla_bridge, "_backends", None):
    raise RuntimeError("JAX has threads, with which a process cannot be forked")
