"""Short runs of the command: their flags, their log, and that they learn."""

import json

import numpy as np

# The command on small images with a small network; more flags follow.
SMALL_RUN = [
    "--arch=resnet18",
    "--weights=none",
    "--image_size=16",
    "--batch_size=24",
    "--embedding_dim=16",
    "--loss=triplet",
]


def records_of(run):
    """The records in the log of a run's folder."""
    lines = (run / "metrics.jsonl").read_text().splitlines()
    return [json.loads(line) for line in lines]


def check_learning(records):
    """The loss falls, and the network does better than before and than pixels."""
    losses = [r["loss"] for r in records if "loss" in r]
    assert np.mean(losses[-10:]) < 0.9 * np.mean(losses[:10])
    raw, untrained, _, trained = (r["recall@1"] for r in records if "recall@1" in r)
    assert trained > untrained + 0.1
    assert trained > raw + 0.05
