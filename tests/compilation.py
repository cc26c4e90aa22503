"""Machine code that is made in a quarter of the time, and runs more slowly."""

from contextlib import contextmanager
from functools import cache
from unittest.mock import patch

import jax
from jax._src import compiler  # JAX takes XLA's options for one `jit` only

# XLA makes machine code of a fusion in two ways, the older of which takes a fifth.
# JAX 0.12 no longer has it.
OPTIONS = {"xla_cpu_use_fusion_emitters": False}


@cache
def known_options() -> dict[str, bool]:
    """`OPTIONS`, or none if the XLA at hand refuses them."""
    try:
        jax.jit(lambda: 0, compiler_options=OPTIONS)()
    except jax.errors.JaxRuntimeError:
        return {}
    return OPTIONS


@contextmanager
def quickly():
    """Has XLA do without its expensive passes, on CPUs, for all that it compiles.

    The programs are the same ones: what is saved is the care for their speed. Memory
    is to be measured without this.
    """
    known = known_options()
    make_options = compiler.get_compile_options

    def with_options(*arguments, env_options_overrides=None, **keywords):
        options = known | dict(env_options_overrides or {})
        return make_options(*arguments, env_options_overrides=options, **keywords)

    before = jax.config.read("jax_disable_most_optimizations")
    with patch.object(compiler, "get_compile_options", with_options):
        jax.config.update("jax_disable_most_optimizations", True)
        try:
            yield
        finally:
            jax.config.update("jax_disable_most_optimizations", before)
