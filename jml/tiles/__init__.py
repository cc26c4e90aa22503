"""Write your own loss of class weights, from a few classes to millions.

Every item of a batch is compared with every class, which has a row of weights, or
several centers. The matrix of items and classes may be too large to be kept, and the
weights too many for one device. So a loss is written as sums over an item's row, and
what becomes of them:

>>> import jax, jax.numpy as jnp
>>> from jml.tiles import ClassBatch, Formula, Statistics, class_loss
>>> def elements(tile, *, scale):
...     (cosine,) = tile.values  # of the items to the one center of each class
...     others = jnp.where(tile.other, scale * cosine, -jnp.inf)
...     return Statistics({"others": others}, {"own": jnp.where(tile.own, cosine, 0)})
>>> def finish(sums, *, scale):
...     gap = sums.logs["others"] - scale * sums.sums["own"]
...     return gap, jnp.ones_like(gap)
>>> def decoupled_loss(embeddings, labels, weights, *, scale=16.0, where=None):
...     batch = ClassBatch(embeddings, labels, weights, where)
...     formula = Formula(elements, finish)
...     return class_loss("decoupled_loss", formula, batch, {"scale": scale})
>>> x, labels = jnp.array([[2.0, 1.0]]), jnp.array([0])
>>> weights = jnp.array([[1.0, 0.0], [0.0, 1.0], [-1.0, 0.0]])
>>> print(f"{decoupled_loss(x, labels, weights):.4f}")
-7.1554

`elements` is given a `Tile`: the items beside some of the classes. It returns entries
[b, t], by name: exponents, of which the sum of exponentials is taken over all classes,
as a logarithm (`Statistics.logs`, -inf for nothing), and numbers, which are added up
(`Statistics.sums`). `finish` is given these sums, [b], and returns each item's loss and
the number of its terms.

`class_loss` does the rest, in two passes: the first adds up the sums over tiles of
classes, the second makes the gradient from how `finish` changes with each sum. Devices
may share the batch, the classes, or both. Embeddings and weights are scaled to length
one.

A loss may go by classes instead: each class is an anchor, and its column of the matrix
has all items. `Columns` has one function of a tile, whose entries are [b, t]. It
returns the totals and the numbers of terms of the tile's classes, a pair for each part
of the loss, and the loss is the sum of the parts' means:

>>> from jml.tiles import Columns
>>> def terms(tile):
...     (cosine,) = tile.values
...     farthest = jnp.min(cosine, axis=0, where=tile.own, initial=1.0)
...     nearest = jnp.max(cosine, axis=0, where=tile.other, initial=-1.0)
...     some = jnp.any(tile.own, axis=0) & jnp.any(tile.other, axis=0)
...     return [(jnp.where(some, jnp.maximum(0, nearest - farthest + 0.3), 0), some)]
>>> def hardest_loss(embeddings, labels, weights, *, where=None):
...     batch = ClassBatch(embeddings, labels, weights, where)
...     return class_loss("hardest_loss", Columns(terms), batch, {})
>>> x, labels = jnp.array([[2.0, 1.0], [2.0, 2.0]]), jnp.array([0, 1])
>>> print(f"{hardest_loss(x, labels, weights):.4f}")
0.0764

The modules, in the order in which they build on each other: `_cut` (weights in tiles),
`_tile`, `_statistics`, `_two_passes`, `_spread` (over devices), `_inputs` (and a rule
of differentiation for JAX), `_gradient` (reductions), `_columns`, `_arguments`,
`_class_loss`, and beside it `_distances` (for diagnostics).
"""

from ._arguments import ClassBatch
from ._class_loss import class_loss
from ._columns import Columns
from ._distances import ClassDistances, class_distances
from ._spread import present_classes
from ._statistics import Statistics
from ._tile import Tile
from ._two_passes import Formula

__all__ = [
    "ClassBatch",
    "ClassDistances",
    "Columns",
    "Formula",
    "Statistics",
    "Tile",
    "class_distances",
    "class_loss",
    "present_classes",
]
