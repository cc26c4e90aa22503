"""The plot of a run: its loss and its Recall@1 over the steps."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from jml._optional import need
from jml._value_checks import check_path, check_type

BLUE, ORANGE, GRAY = "#2b6cb0", "#dd6b20", "#a0aec0"


def save_plot(path: Path, records: Sequence[Mapping[str, Any]]) -> None:
    """Draws the records of a run's metrics.jsonl into a PNG file.

    Raises:
        UserError: matplotlib is not installed.
        OSError: the file cannot be written.
    """
    path = check_path("save_plot", "path", path)
    check_type("save_plot", "records", records, (list, tuple), "a list of records")
    need("a plot", "matplotlib", "PIL")
    figure = new_figure(9, 3.4)
    left, right = figure.subplots(1, 2)
    _draw_loss(left, [r for r in records if "loss" in r])
    _draw_recall(right, [r for r in records if "recall@1" in r])
    for axes in (left, right):
        axes.set_xlabel("step")
        axes.xaxis.get_major_locator().set_params(integer=True, min_n_ticks=1)
        axes.grid(alpha=0.25)
        axes.spines[["top", "right"]].set_visible(False)
    figure.savefig(path)


def new_figure(width: float, height: float) -> Any:
    """A matplotlib figure without pyplot, its window system and its global state."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), dpi=150, layout="constrained")
    FigureCanvasAgg(figure)
    return figure


def _draw_loss(axes: Any, records: Sequence[Mapping[str, Any]]) -> None:
    axes.set_title("Training loss")
    if not records:
        return
    steps = [r["step"] for r in records]
    losses = np.array([r["loss"] for r in records])
    width = max(1, len(losses) // 25)
    dot = "o" if len(losses) == 1 else None  # a single step draws no line
    axes.plot(steps, losses, color=BLUE, alpha=0.25, linewidth=0.8)
    mean = _trailing_mean(losses, width)
    axes.plot(steps, mean, color=BLUE, linewidth=1.8, marker=dot)
    # The losses of the first steps are so high that the axis leaves them out.
    low, high = np.percentile(losses, (1, 98))
    margin = 0.05 * (high - low) or 1.0
    axes.set_ylim(low - margin, high + margin)


def _draw_recall(axes: Any, records: Sequence[Mapping[str, Any]]) -> None:
    axes.set_title("Recall@1 on the test images")
    curve = [(r["step"], 100 * r["recall@1"]) for r in records if "step" in r]
    pixels = [100 * r["recall@1"] for r in records if "baseline" in r]
    if curve:
        steps, recalls = zip(*curve, strict=True)
        axes.plot(steps, recalls, color=ORANGE, marker="o", markersize=4)
        axes.annotate(
            f"{recalls[-1]:.1f}",
            (steps[-1], recalls[-1]),
            textcoords="offset points",
            xytext=(4, 7),
            ha="right",
            color=ORANGE,
            bbox={"color": "white", "pad": 0.5},  # hides the dashed line behind it
        )
    for height in pixels:
        axes.axhline(height, color=GRAY, linestyle="--", linewidth=1.2)
        axes.annotate(
            "raw pixels",
            (1, height),  # beside the axes, where it covers no other text
            xycoords=("axes fraction", "data"),
            textcoords="offset points",
            xytext=(4, 0),
            va="center",
            color="#718096",
            fontsize=9,
        )
    axes.set_ylim(0, 105)
    axes.yaxis.set_major_formatter("{x:.0f} %")


def _trailing_mean(values: np.ndarray, width: int) -> np.ndarray:
    """The mean of each value and up to ``width - 1`` before it."""
    sums = np.cumsum(np.concatenate([[0.0], values]))
    ends = np.arange(1, len(values) + 1)
    starts = np.maximum(ends - width, 0)
    return (sums[ends] - sums[starts]) / (ends - starts)
