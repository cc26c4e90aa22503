'''Miners: functions that choose pairs or triplets of a batch for a loss.

A miner goes with every pair loss:

>>> import jax.numpy as jnp
>>> from jml import losses, miners
>>> x, labels = jnp.array([[0.0, 1], [1, 1], [1, 2], [-1, 0]]), jnp.array([0, 0, 1, 1])
>>> loss = losses.multi_similarity_loss(x, labels, miner=miners.multi_similarity())
>>> print(f"{loss:.4f}")
0.9587

What it sees is what the loss compares: unit vectors, where the loss makes its
embeddings such, and otherwise embeddings as they are. It chooses among the pairs that
are there: of the batch, of references or of a memory, by labels or by `related`. Each
anchor's row is mined by itself. A miner passes no gradient.

The functions of this module make miners. Their numbers are traced: a changed number
does not compile the loss anew.

`multi_similarity`, `pair_margin`, `easy_hard` and `batch_hard` choose pairs. A loss of
triplets then takes the triplets of each anchor's chosen pairs. `triplet_margin` and
`distance_weighted` choose triplets. `triplet_loss` and `margin_loss` take exactly these
triplets, or for each draw; other losses take each pair that is in one of them once.

A miner of your own is a function of `jml.pairwise.Rows` that returns rows with fewer
pairs. It reads `rows.distance`, Euclidean, or `rows.cosine`:

>>> def nearby(rows):
...     """Positives and negatives closer than 1.5."""
...     near = rows.distance < 1.5
...     return rows.keep(positive=near, negative=near)
>>> print(f"{losses.multi_similarity_loss(x, labels, miner=nearby):.4f}")
0.4501

Define it once, outside of the training step: a loss compiles for each miner function.
Numbers that change, and random keys, go through ``jax.tree_util.Partial(nearby, key)``.
'''

from ._easy_hard import batch_hard as batch_hard
from ._easy_hard import easy_hard as easy_hard
from ._pairs import multi_similarity as multi_similarity
from ._pairs import pair_margin as pair_margin
from ._triplets import distance_weighted as distance_weighted
from ._triplets import triplet_margin as triplet_margin

__all__ = [
    "batch_hard",
    "distance_weighted",
    "easy_hard",
    "multi_similarity",
    "pair_margin",
    "triplet_margin",
]
