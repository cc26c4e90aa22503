"""One tile of the matrix of items and classes: what a formula is a function of."""

from typing import NamedTuple

import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Integer

from jml._gram_distances import inner_products, row_facts, squared_from_products
from jml.distances import as_compute, normalize
from jml.pairwise import by_one_end, transposed_product

from ._cut import Part


class Items(NamedTuple):
    """The batch: its embeddings, prepared, and what is known of each item."""

    embeddings: Float[Array, "b d"]
    labels: Integer[Array, " b"]
    valid: Bool[Array, " b"]  # False: left out


class Tile(NamedTuple):
    """Items beside the classes of one tile.

    A class has one or several centers. `values` has the similarities, or the squared
    distances, of the items to one center of each class; there are as many arrays as
    centers. `centers` has these themselves, of length one.
    """

    values: tuple[Float[Array, "b t"], ...]
    own: Bool[Array, "b t"]  # the class is that of the item
    other: Bool[Array, "b t"]  # another class
    centers: tuple[Float[Array, "t d"], ...]


def unit_centers(
    part: Float[Array, "t *k d"], dtype
) -> tuple[Float[Array, "t d"], ...]:
    """The centers of all classes, scaled to length one: one array for each center.

    A product for each of them is faster than one of all, and lets the compiler spread
    classes over devices.
    """
    if part.ndim == 2:
        part = part[:, None]
    centers = (part[:, k] for k in range(part.shape[1]))
    return tuple(normalize(as_compute(center)).astype(dtype) for center in centers)


def make_tile(
    items: Items, centers: tuple[Float[Array, "t d"], ...], part: Part, measure: str
) -> Tile:
    """The items beside the classes of a tile, whose centers have length one."""
    x = items.embeddings
    values = tuple(inner_products(x, center) for center in centers)
    if measure == "squared":
        facts = row_facts(x)
        values = tuple(
            squared_from_products(
                value, facts, row_facts(center), x.shape[1], overflow=False
            )
            for value, center in zip(values, centers, strict=True)
        )
    classes = part.classes[None, :]
    there = items.valid[:, None] & (classes >= 0)
    own = classes == items.labels[:, None]
    return Tile(values, there & own, there & ~own, centers)


def slopes_by_both(
    items: Items,
    centers: tuple[Float[Array, "t d"], ...],
    values: tuple[Float[Array, "b t"], ...],
    by_values: tuple[Float[Array, "b t"], ...],
    measure: str,
) -> tuple[Float[Array, "b d"], tuple[Float[Array, "t d"], ...]]:
    """The gradient by items and by centers, from that by a tile's values."""
    x, by_items, by_centers = items.embeddings, [], []
    for center, value, by_value in zip(centers, values, by_values, strict=True):
        if measure == "squared":  # at distance 0 nothing points anywhere
            by_value = jnp.where(value > 0, by_value, 0)
        products = inner_products(by_value, center.T)
        by_items.append(by_one_end(x, by_value, 1, products, measure))
        products = transposed_product(by_value, x)
        by_centers.append(by_one_end(center, by_value, 0, products, measure))
    return sum(by_items[1:], by_items[0]), tuple(by_centers)
