"""Machine code that is made in a quarter of the time, and runs more slowly."""

from contextlib import contextmanager, nullcontext
from functools import cache
from unittest.mock import patch

import jax
from jax._src import compiler  # JAX takes XLA's options for one `jit` only

# For one `jit`: how far LLVM optimises.
QUICK = {"xla_backend_optimization_level": 0, "xla_llvm_disable_expensive_passes": True}
# For all: XLA makes machine code of a fusion in two ways, the older of which takes a
# fifth of the time. JAX 0.12 no longer has it.
OPTIONS = {"xla_cpu_use_fusion_emitters": False}


@cache
def known_options() -> dict[str, bool]:
    """`OPTIONS`, or none if the JAX or XLA at hand does not take them."""
    if not hasattr(compiler, "get_compile_options"):
        return {}
    try:
        jax.jit(lambda: 0, compiler_options=OPTIONS)()
    except jax.errors.JaxRuntimeError:
        return {}
    return OPTIONS


@contextmanager
def options_of_all():
    """Has all that JAX compiles take `known_options`."""
    known = known_options()
    if not known:
        yield
        return
    make_options = compiler.get_compile_options

    def with_options(*arguments, env_options_overrides=None, **keywords):
        options = known | dict(env_options_overrides or {})
        return make_options(*arguments, env_options_overrides=options, **keywords)

    with patch.object(compiler, "get_compile_options", with_options):
        yield


@contextmanager
def quickly(*, same_memory=False):
    """Has XLA do without its expensive passes, on CPUs, for all that it compiles.

    What is saved is the care for speed. tests/losses/test_compilers.py shows that the
    losses are the same with it. Memory is to be measured with `same_memory`: then only
    LLVM is hurried, which comes after all arrays have their places.
    """
    before = jax.config.read("jax_disable_most_optimizations")
    with nullcontext() if same_memory else options_of_all():
        jax.config.update("jax_disable_most_optimizations", True)
        try:
            yield
        finally:
            jax.config.update("jax_disable_most_optimizations", before)
