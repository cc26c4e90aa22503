"""Two towers: queries that are compared with references, by position or by labels."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from jml._checks import check_array, check_kind
from jml.pairwise import AxisName, Batch, Options, References, check_axis_name


def pair_towers(
    name: str, queries: Any, batch: Batch, options: Options
) -> tuple[Batch, Options]:
    """The arguments of `pair_loss`, with labels if there are none.

    Query i then belongs to reference i, and `where` leaves out both.

    Args:
        name: the name of the loss, with which errors begin.
        queries: the embeddings of the batch.
        batch: with these embeddings.
        options: with the references.

    Raises:
        ValueError: for queries or references of a wrong shape or dtype, and for
            arguments that need labels.
    """
    queries = check_array(name, "queries", queries, shape="[B, D]", ndim=2)
    check_kind(name, "queries", queries, jnp.floating, "floating")
    references, reference_labels, reference_where = options.references
    references = check_array(name, "references", references, shape="[N, D]", ndim=2)
    if batch.labels is not None or options.related is not None:
        return batch, options
    if reference_labels is not None or batch.memory is not None:
        argument = "memory" if reference_labels is None else "reference_labels"
        raise ValueError(f"{name}: `{argument}` needs `labels`, got None")
    if len(references) != len(queries):
        raise ValueError(
            f"{name}: `references` must be as many as the {len(queries)} queries, if "
            f"there are no `labels`, got {len(references)}"
        )
    check_axis_name(name, batch.axis_name)
    places = _places(queries, batch.axis_name)
    where = batch.where if reference_where is None else reference_where
    others = References(references, places, where)
    return batch._replace(labels=places), options._replace(references=others)


def _places(
    queries: Float[Array | np.ndarray, "b d"], axis_name: AxisName
) -> Array | np.ndarray:
    places = np.arange(len(queries), dtype=np.int32)
    if axis_name is None:
        return places
    return places + len(queries) * jax.lax.axis_index(axis_name)
