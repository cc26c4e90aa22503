"""Miners: functions that leave out pairs of some anchors."""

import inspect
from collections.abc import Callable
from functools import partial
from typing import Any

import jax.numpy as jnp
from jax.tree_util import Partial

from jml._value_checks import described

from ._pair_gradients import check_function
from ._rows import Rows

Miner = Callable[[Rows], Rows]


def check_miner(name: str, miner: Any) -> Partial:
    """Raises ValueError unless it is a function of rows.

    Returns:
        The function, with the arrays that it carries.
    """
    if not callable(miner) or not _takes_rows(miner):
        raise ValueError(
            f"{name}: `miner` must be a function of `Rows`, such as those that"
            f" jml.miners makes (miners.multi_similarity()), got {described(miner)}"
        )
    function = miner.func if isinstance(miner, Partial) else miner
    check_function(name, "miner", function)
    return miner if isinstance(miner, Partial) else Partial(miner)


def _takes_rows(miner: Callable[..., Any]) -> bool:
    """Whether a function can be called with rows alone."""
    try:
        inspect.signature(miner).bind(None)
    except TypeError:
        return False
    except ValueError:  # a function that does not say
        return True
    return True


def call_miner(name: str, miner: Miner, rows: Rows) -> Rows:
    """Calls a miner and checks what it returns, while JAX traces it."""
    try:
        kept = miner(rows)
    except TypeError as error:
        reason = str(error).partition("\n")[0]
        raise ValueError(
            f"{name}: `miner` must take `Rows` and return `Rows` with other masks, of "
            f"booleans, as `rows.keep` does; it failed with: {reason}"
        ) from error
    shape = rows.values.shape
    masks = (kept.positive_or_self, kept.negative) if isinstance(kept, Rows) else ()
    if not masks or any(jnp.shape(mask) != shape for mask in masks):
        raise ValueError(
            f"{name}: `miner` must return the `Rows` that it was given with other masks"
            f" of shape {shape}, as `rows.keep` does, got {type(kept).__name__}"
        )
    return kept


def bind_miner(name: str, miner: Miner | None) -> Partial | None:
    """The miner with its check; None without one."""
    return None if miner is None else Partial(partial(call_miner, name), miner)
