"""A guide: another network's embeddings, which find false negatives."""

from typing import Any

import jax.numpy as jnp
from jax.tree_util import Partial
from jaxtyping import Array, Float

from jml._checks import check_array, check_kind, check_rows
from jml._label_checks import check_embeddings
from jml.distances import as_compute, inner_products, normalize
from jml.pairwise import (
    AxisName,
    Batch,
    Miner,
    References,
    Rows,
    check_miner,
    gather,
)


def add_guide(
    name: str,
    miner: Any,
    batch: Batch,
    others: References,
    guide: Any,
    reference_guide: Any,
) -> Any:
    """A miner that leaves out what a guide finds to be false negatives.

    It stands in front of the miner that there is.

    Args:
        name: of the loss.
        miner: the user's, not yet checked.
        batch: as given to the loss, not yet checked.
        others: the references, likewise.
        guide: the guide's embeddings of the batch, or None.
        reference_guide: its embeddings of the references.
    """
    needed = guide is not None and others.embeddings is not None
    if (reference_guide is not None) != needed:
        raise ValueError(
            f"{name}: `reference_guide` must be given where both `guide` and "
            f"`references` are, got {'none' if needed else 'one'}"
        )
    if guide is None:
        return miner
    if miner is not None:
        miner = check_miner(name, miner)
    x = check_embeddings(name, batch.embeddings)
    anchors = _prepare(name, "guide", guide, x, batch.axis_name)
    references = anchors
    if needed:
        y = check_rows(name, "references", others.embeddings, x)
        references = _prepare(
            name, "reference_guide", reference_guide, y, batch.axis_name
        )
        if references.shape[1] != anchors.shape[1]:
            raise ValueError(
                f"{name}: `reference_guide` must have {anchors.shape[1]} columns, as"
                f" `guide` has, got {references.shape[1]}"
            )
    if miner is not None and not isinstance(miner, Partial):
        miner = Partial(miner)  # which `jax.jit` takes as an argument
    return Partial(mine_by_guide, miner, anchors, references)


def _prepare(name: str, argument: str, guide: Any, rows: Any, axis_name: AxisName):
    """The guide's unit vectors of all devices."""
    guide = check_array(name, argument, guide, shape="[B, G]", ndim=2)
    check_kind(name, argument, guide, jnp.floating, "floating")
    if len(guide) != len(rows):
        raise ValueError(
            f"{name}: `{argument}` must have a row for each of the {len(rows)} "
            f"embeddings, got {len(guide)}"
        )
    return gather(normalize(as_compute(jnp.asarray(guide))), axis_name)


def mine_by_guide(
    miner: Miner | None,
    anchors: Float[Array, "n g"],
    references: Float[Array, "m g"],
    rows: Rows,
) -> Rows:
    """Drops negatives more similar to the anchor than its positives are, by the guide.

    Args:
        miner: to apply then.
        anchors: the guide's embeddings of all anchors.
        references: those of all references but a memory's.
        rows: some rows.
    """
    found = inner_products(anchors[rows.anchor[:, 0]], references)
    # Of a memory, which stands last, the guide knows nothing.
    unknown = rows.values.shape[1] - len(references)
    found = jnp.pad(found, [(0, 0), (0, unknown)], constant_values=-jnp.inf)
    known = rows.positive & (found != -jnp.inf)
    nearest = jnp.max(jnp.where(known, found, -jnp.inf), axis=1, keepdims=True)
    nearest = jnp.where(jnp.any(known, axis=1, keepdims=True), nearest, jnp.inf)
    kept = rows.keep(rows.positive, ~(found > nearest))
    return kept if miner is None else miner(kept)
