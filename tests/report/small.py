"""A small report with everything in it, and names that would like to be markup."""

import numpy as np

from jml.evaluation import evaluate
from jml.report import EmbeddedImages, write_report

NASTY = "</script><script>document.title = 'run'</script><img src=x onerror=alert(1)>"
RECORDS = [
    {"baseline": "raw pixels", "recall@1": 0.2},
    {"step": 0, "recall@1": 0.1},
    *({"step": i, "loss": 1 / i, "lr": 0.1} for i in range(1, 31)),
    {"step": 30, "recall@1": 0.6},
]


def items(n, classes, *, seed=0, side=12, images=True):
    rng = np.random.default_rng(seed)
    labels = rng.permutation(np.arange(n) % classes)
    centres = np.random.default_rng(9).normal(size=(classes, 8))
    x = (centres[labels] + 0.9 * rng.normal(size=(n, 8))).astype(np.float32)
    colours = np.random.default_rng(8).integers(0, 256, (classes, 1, 1, 3), np.uint8)
    squares = np.broadcast_to(colours[labels], (n, side, side, 3))
    return EmbeddedImages(x, labels, squares if images else None)


def write(folder, query, gallery=None, **options):
    searched = () if gallery is None else gallery[:2]
    evaluation = evaluate(*query[:2], *searched, resamples=50, clusterings=2)
    options = {"reproduce": {"Again": "python again.py"}, **options}
    return write_report(
        folder, options.pop("title", "t"), query, gallery, evaluation, **options
    )
