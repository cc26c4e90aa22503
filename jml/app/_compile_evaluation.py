"""What embeds and ranks test images, compiled while the images are decoded or drawn."""

from collections.abc import Callable
from functools import partial
from typing import Any

from jml.app._config import Config
from jml.data import Dataset, Listing, Split
from jml.evaluation import compile_search
from jml.inference import Embedder

from ._compile_ahead import Ahead
from ._embed import (
    EmbedAll,
    Embedded,
    ItemFacts,
    ids_and_groups,
    make_embed_test,
    tested_facts,
)
from ._inputs import side_of

NETWORK, RANKING = "the network", "the ranking"


def begin_network(
    ahead: Ahead,
    embedder: Embedder,
    params: Any,
    batch_stats: Any,
    config: Config,
    listing: Listing | None,
) -> EmbedAll:
    """Begins to compile the network; returns the embedder, which then waits for it."""
    square, size = (side_of(config),) * 2 + (3,), config.batch_size_test
    images = size if listing is None else len(listing.query), *square
    lower = partial(embedder.lower, params, batch_stats, images, size)
    ahead.begin(NETWORK, lambda: lower().compile())
    return ahead.before(NETWORK, embedder)


def known_facts(
    config: Config, listing: Listing | None
) -> tuple[ItemFacts, ItemFacts | None] | None:
    """The facts of queries and gallery, if known before the images are decoded."""
    if listing is None or config.on_bad_image == "skip":  # images may be left out
        return None
    return tested_facts(listing)


def begin_ranking(
    ahead: Ahead,
    query: ItemFacts | Split,
    gallery: ItemFacts | Split | None,
    config: Config,
) -> None:
    """Begins to compile what ranks the embeddings of these images."""
    labels = query.labels, None if gallery is None else gallery.labels
    facts = ids_and_groups(query, gallery)
    dim = config.embedding_dim
    ahead.begin(RANKING, partial(compile_search, *labels, dim=dim, **facts))


def embed_to_rank(
    ahead: Ahead, embed_all: EmbedAll, dataset: Dataset, config: Config
) -> Callable[[Any, Any], Embedded]:
    """`make_embed_test` of a run; it returns once the ranking is compiled, too."""
    embed_test = make_embed_test(embed_all, dataset, config.batch_size_test)

    def embed(params: Any, batch_stats: Any) -> Embedded:
        embedded = embed_test(params, batch_stats)
        ahead.wait(RANKING)
        return embedded

    return embed
