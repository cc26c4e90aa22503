"""Machine code that is made in a quarter of the time, and what is compiled."""

import math
import re
from contextlib import contextmanager, nullcontext
from functools import cache
from unittest.mock import patch

import jax
from jax._src import compiler  # JAX takes XLA's options for one `jit` only
from jax.experimental.compilation_cache import compilation_cache

# For one `jit`: how far LLVM optimises.
QUICK = {"xla_backend_optimization_level": 0, "xla_llvm_disable_expensive_passes": True}
OPTIONS = {  # for all
    # XLA makes machine code of a fusion in two ways, the older of which takes a fifth
    # of the time. JAX 0.12 no longer has it.
    "xla_cpu_use_fusion_emitters": False,
    # A program is not divided for several cores, each of which repeats a part of the
    # work: the tests' processes keep the cores busy.
    "xla_cpu_parallel_codegen_split_count": 1,
}


@cache
def known_options() -> dict[str, bool | int]:
    """Those of `OPTIONS` that the JAX and the XLA at hand take."""
    known = {}
    for name, value in OPTIONS.items():
        try:
            jax.jit(lambda: 0, compiler_options={name: value})()
        except jax.errors.JaxRuntimeError:
            continue
        known[name] = value
    return known if hasattr(compiler, "get_compile_options") else {}


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
def programs():
    """Gives the names of the programs that XLA compiles or reads, in order."""
    names = []

    def listen(event, seconds, **about):
        if event == "/jax/core/compile/backend_compile_duration":
            names.append(
                about.get("fun_name", "?").removeprefix("jit(").removesuffix(")")
            )

    jax.monitoring.register_event_duration_secs_listener(listen)
    try:
        yield names
    finally:
        jax.monitoring.unregister_event_duration_listener(listen)


def largest_array(program):
    """Entries of the largest array that a device holds."""
    shapes = re.findall(r"\[(\d+(?:,\d+)*)\]", program.as_text())
    return max(math.prod(map(int, shape.split(","))) for shape in set(shapes))


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


@contextmanager
def kept_nowhere():
    """Has JAX write no programs to files, and read none. Other processes still do."""
    before = jax.config.jax_enable_compilation_cache
    jax.config.update("jax_enable_compilation_cache", False)
    compilation_cache.reset_cache()  # JAX asks once, and remembers
    try:
        yield
    finally:
        jax.config.update("jax_enable_compilation_cache", before)
        compilation_cache.reset_cache()
