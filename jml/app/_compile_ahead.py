"""Programs that threads compile while the run does something else.

XLA compiles without Python's lock. A jitted function finds what was compiled for the
same kinds of arguments, so it is called as ever, once its program is there.
"""

import threading
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any, TypeVar

import jax
import numpy as np
from jax.sharding import Mesh

from jml.app._command import COMPILES
from jml.app._config import Config
from jml.data import Split
from jml.training import batch_sharding, replicate_rest

from ._build import Training
from ._embed import DatasetEmbedder, Embedded

Result = TypeVar("Result")
CONFIG: Any = jax.config  # its attributes are not declared
LONG = 10  # seconds of waiting that a log tells of


class Ahead:
    """Compiles in threads, and says for what the run waits."""

    def __init__(self, notify: Callable[[str], None]) -> None:
        """Begins with no programs; `notify` is called with lines about the progress."""
        self._notify = notify
        self._threads: dict[str, threading.Thread] = {}

    def begin(self, what: str, lower: Callable[[], jax.stages.Lowered]) -> None:
        """Begins to compile what `lower` returns.

        Errors are not reported: the function raises them again when it is called.
        """
        device = CONFIG.jax_default_device  # threads have their own

        def compile_it() -> None:
            with suppress(Exception), jax.default_device(device):
                lower().compile()

        # No thread that is still compiling keeps a failed run from ending.
        thread = threading.Thread(target=compile_it, name=COMPILES, daemon=True)
        self._threads[what] = thread
        thread.start()

    def before(self, what: str, call: Callable[..., Result]) -> Callable[..., Result]:
        """Returns a function that waits for a program at first, and then calls."""

        def waiting(*arguments: Any) -> Result:
            self._wait(what)
            return call(*arguments)

        return waiting

    def _wait(self, what: str) -> None:
        thread = self._threads.pop(what, None)
        if thread is None or not thread.is_alive():
            return
        from tqdm import tqdm

        line, began, told = f"compiling {what} ...", time.monotonic(), False
        with tqdm(bar_format="{desc}", leave=False, disable=None) as bar:
            while thread.is_alive():
                seconds = time.monotonic() - began
                bar.set_description_str(f"{line} {seconds:.0f} s")
                if bar.disable and seconds > LONG and not told:
                    self._notify(line)
                    told = True
                thread.join(1)


def begin_programs(
    ahead: Ahead,
    config: Config,
    training: Training,
    embed_test: DatasetEmbedder,
    split: Split,
    mesh: Mesh,
) -> tuple[Training, Callable[[Any, Any], Embedded]]:
    """Begins to compile a run's step and its evaluation.

    Args:
        ahead: compiles them.
        config: configuration of the run.
        training: what trains.
        embed_test: what embeds the test images.
        split: the training images.
        mesh: the devices that share each batch.

    Returns:
        The last two, which wait for their programs.
    """
    state, hyper = replicate_rest(mesh, (training.state, training.hyper))
    by_rows = batch_sharding(mesh)
    batch = (
        jax.ShapeDtypeStruct(
            (config.batch_size, *split.images.shape[1:]), np.uint8, sharding=by_rows
        ),
        jax.ShapeDtypeStruct((config.batch_size,), np.int32, sharding=by_rows),
    )
    params, batch_stats = state.to_evaluate
    network, step = "the network", "the training step"
    ahead.begin(network, lambda: embed_test.lower(params["model"], batch_stats))
    ahead.begin(step, lambda: training.step.lower(state, batch, training.key, hyper))
    training = training._replace(
        state=state, hyper=hyper, step=ahead.before(step, training.step)
    )
    return training, ahead.before(network, embed_test)
