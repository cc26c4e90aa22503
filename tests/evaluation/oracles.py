"""The full ranking and what it is worth, by definition, in NumPy float64."""

import numpy as np


def distances(query, gallery, metric="euclidean"):
    query, gallery = np.float64(query), np.float64(gallery)
    if metric == "euclidean":
        return np.sum((gallery - query) ** 2, axis=1)
    norms = np.linalg.norm(gallery, axis=1) * np.linalg.norm(query)
    return -(gallery @ query) / np.where(norms > 0, norms, 1)


def ranking(query, gallery, itself=-1, metric="euclidean"):
    """Indices sorted by (distance, index); what ties does so in nine digits."""
    order = np.argsort(distances(query, gallery, metric).round(9), kind="stable")
    return order[order != itself]


def worth(hits, ks, map_ks):
    """Each metric of one ranking; `hits` says which of its items are relevant."""
    ranks, total = np.flatnonzero(hits) + 1, sum(hits)
    gain = {rank: sum(hits[:rank]) / rank for rank in ranks}
    values = {f"recall@{k}": any(hits[:k]) for k in ks}
    values |= {
        "precision@1": hits[0],
        "map": sum(gain.values()) / total,
        "map@r": sum(gain[rank] for rank in ranks if rank <= total) / total,
        "r_precision": sum(hits[:total]) / total,
        "mrr": 1 / ranks[0],
    }
    for k in map_ks:
        above = sum(gain[rank] for rank in ranks if rank <= k)
        values[f"map@{k}"] = above / min(total, k)
        values[f"map_relevant@{k}"] = above / total
        values[f"map_hits@{k}"] = above / max(sum(hits[:k]), 1)
    return values


def evaluation(case, *, ks, map_ks, metric="euclidean"):
    """Of each query its metrics, None if it has no relevant item; and its CMC."""
    among = case.gallery is None
    gallery, known = (case.x, case.labels) if among else case.gallery
    own = range(len(case.x)) if among else case.own
    rows, curves = [], []
    for query, label, itself in zip(case.x, case.labels, own, strict=True):
        hits = known[ranking(query, gallery, itself, metric)] == label
        rows.append(worth(hits, ks, map_ks) if hits.any() else None)
        reach = len(gallery) - among
        curves += [[any(hits[:k]) for k in range(1, reach + 1)]] if hits.any() else []
    return rows, curves
