"""Which references are positives of an anchor, and which are negatives."""

import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from ._references import Side


def relate(
    anchors: Side, references: Side
) -> tuple[Bool[Array, "b n"], Bool[Array, "b n"], Float[Array, "b n"] | None]:
    """Each anchor's positives with itself, its negatives, and weights of positives.

    - `labels` that are integers: an equal label makes a positive.
    - `labels` that are booleans [n, l]: sharing one of the l makes a positive.
    - `related`: a number above 0 makes a positive and, if it is a float, weighs it; 0
      makes a negative; a number below 0 or NaN makes neither.
    """
    valid = anchors.valid[:, None] & references.valid[None, :]
    if anchors.related is None and anchors.labels.ndim == 1:
        same = anchors.labels[:, None] == references.labels[None, :]
        return valid & same, valid & ~same, None
    # An item without labels shares none with itself, nor need it be said to be related.
    itself = anchors.position[:, None] == references.position[None, :]
    if anchors.related is None:
        # Sums of 0 and 1, whose sign is right however many there are.
        ours, theirs = (s.labels.astype(jnp.float32) for s in (anchors, references))
        same = (ours @ theirs.T > 0) | itself
        return valid & same, valid & ~same, None
    related, weight = anchors.related, None
    if jnp.issubdtype(related.dtype, jnp.floating):
        # Within the same bounds as embeddings, so that no sum overflows.
        dtype = anchors.embeddings.dtype
        most = float(jnp.finfo(dtype).max) ** 0.25
        weight = jnp.where(related > 0, jnp.minimum(related.astype(dtype), most), 1)
    positive = (related > 0) | itself
    return valid & positive, valid & (related == 0) & ~itself, weight
