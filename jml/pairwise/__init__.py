'''Write your own loss over all pairs of a batch.

A pair loss compares every item of a batch, an *anchor*, with all items, the
*references*. It is the sum of some terms over the number of these terms. What you write
is the formula of the terms, for a few anchors at a time:

>>> import jax, jax.numpy as jnp
>>> from jml.losses import Memory
>>> from jml.pairwise import Batch, count_true, masked_sum, pair_loss
>>> def spread_terms(rows, *, scale):
...     """The sum of each anchor's exp(-scale S) over negatives, and their number."""
...     closeness = jnp.exp(-scale * rows.squared)
...     number = count_true(rows.negative, closeness.dtype)
...     return masked_sum(closeness, rows.negative), number
>>> def spread_loss(
...     embeddings, labels, *, scale=1.0,
...     where=None, memory: Memory | None = None, block_size=None, axis_name=None,
... ):
...     batch = Batch(embeddings, labels, where, memory, block_size, axis_name)
...     return pair_loss("spread_loss", spread_terms, batch, {"scale": scale})
>>> x, labels = jnp.array([[0.0], [1.0], [3.0]]), jnp.array([0, 1, 1])
>>> print(f"{spread_loss(x, labels):.4f}")
0.1840
>>> print(f"{jax.grad(spread_loss)(x, labels)[0, 0]:.4f}")
0.3682

`rows` is a `Rows`: the squared distances ``S`` of some anchors to all references, which
of these are ``positive`` and which ``negative``. ``positive`` leaves out the anchor
itself; ``positive_or_self`` does not. With ``measure="cosine"`` or ``"dot"`` rows have
a ``similarity`` in place of ``squared``: cosines, or inner products.

The formula returns two arrays with one entry for each anchor: the sum of its terms and
their number. It must be differentiable in S and in the hyperparameters. The count
passes no gradient: it must be constant in the distances and the hyperparameters, except
in steps (a comparison). A ValueError says so where JAX finds a gradient in it.

`pair_loss` does the rest: it checks the arguments, leaves out what ``where`` leaves
out, compares with a memory or with references (``options=Options(References(...))``),
by labels or relations, mines, reduces, works in blocks of rows, over several devices,
compiled once, and makes the gradient. With ``normalized=True`` it puts embeddings on
the unit sphere first.

The gradient comes from the *pair gradients* ``G = dT/dS``, where T is the total of all
terms. The loss L is T over the number of terms, and so

    dL/dx_i = (2 / number) sum_j (G_ij + G_ji) (x_i - x_j).

``G_ij`` says how the total changes with the squared distance from anchor i to reference
j. x_i occurs in its own row of S and in its column, therefore ``G_ij + G_ji``; and the
gradient of S_ij by x_i is ``2 (x_i - x_j)``. That is two matrix products. They are made
together with the value, while a block of rows is at hand.

How the rows are summed is a choice:

- `sum_rows`: any formula. The default.
- `sum_pairs`: a term of each pair that is the same from both ends. It saves a product.
- `sum_positives`: in addition, only positive pairs have a term. Where classes are small
  the whole matrix is not made.
- a function of your own with the same arguments, for a loss that goes over the rows
  more than once: `jml.losses.lifted_loss` and its `lifted_sums` are an example. Such
  functions use `map_rows`, `gather`, `psum` and what else is exported here.

The modules, in the order in which they build on each other: `_devices`, `_blocks` (how
many rows at a time), `_memory`, `_references` (both sides of the matrix), `_relations`
(which pairs are positive), `_rows`, `_pair_gradients` (from the formula to the
gradient), `_sums` (both in blocks of rows), `_both_ends`, `_positives`, `_statistics`
(functions of sums over the whole matrix), `_gradient` (reductions, and a rule of
differentiation for JAX), `_mining`, `_arguments`, `_pair_loss`.
'''

from ._arguments import REDUCTIONS, SIMILARITIES, Batch, Options
from ._blocks import Plan, on_cpu, run_if, scan_blocks, split_rows
from ._both_ends import sum_pairs
from ._devices import (
    AxisName,
    check_axis_name,
    count_devices,
    gather,
    on_auto_axes,
    psum,
    pvary_like,
)
from ._gradient import mean_of_each
from ._mining import Miner, check_miner
from ._pair_gradients import (
    Hyperparameters,
    Terms,
    by_one_end,
    linearize,
    transposed_product,
)
from ._pair_loss import Scalar, pair_loss
from ._positives import ClassRuns, find_class_runs, sum_positives
from ._references import (
    Labels,
    Pairs,
    References,
    Related,
    Side,
    make_pairs,
    prepare,
)
from ._rows import (
    Rows,
    count_true,
    log1p_sum_exp,
    make_rows,
    masked_logsumexp,
    masked_sum,
)
from ._statistics import share_of_one, sum_through
from ._sums import (
    Sums,
    column_log_sums,
    map_rows,
    mined_rows,
    sum_rows,
)

__all__ = [
    "REDUCTIONS",
    "SIMILARITIES",
    "AxisName",
    "Batch",
    "ClassRuns",
    "Hyperparameters",
    "Labels",
    "Miner",
    "Options",
    "Pairs",
    "Plan",
    "References",
    "Related",
    "Rows",
    "Scalar",
    "Side",
    "Sums",
    "Terms",
    "by_one_end",
    "check_axis_name",
    "check_miner",
    "column_log_sums",
    "count_devices",
    "count_true",
    "find_class_runs",
    "gather",
    "linearize",
    "log1p_sum_exp",
    "make_pairs",
    "make_rows",
    "map_rows",
    "masked_logsumexp",
    "masked_sum",
    "mean_of_each",
    "mined_rows",
    "on_auto_axes",
    "on_cpu",
    "pair_loss",
    "prepare",
    "psum",
    "pvary_like",
    "run_if",
    "scan_blocks",
    "share_of_one",
    "split_rows",
    "sum_pairs",
    "sum_positives",
    "sum_rows",
    "sum_through",
    "transposed_product",
]
