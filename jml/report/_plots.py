"""The report's plots, as PNG files."""

import warnings
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import UInt8

from jml._attempts import Attempts

from ._embedding_map import Map
from ._training_plot import BLUE, new_figure, save_plot

RIGHT, WRONG = "#1a7f4b", "#c22f3d"
VERIFICATION = "verification.png"
PLOTS = ("cmc.png", VERIFICATION, "queries.png", "confusions.png", "training.png")
PLOTS += ("map.png",)  # the last: its points are computed meanwhile
BEST_AND_WORST = 5  # queries of each kind


def save_plots(
    folder: Path,
    data: Mapping[str, Any],
    small: UInt8[np.ndarray, "n s s 3"] | None,
    records: Sequence[Mapping[str, Any]],
    map_of: Callable[[], Map],
    attempts: Attempts,
) -> None:
    """Draws what the page shows into PNG files of a folder, which is made if need be.

    Without confusions, records or pairs there is no plot of them. A plot that fails is
    noted in `attempts` by the names of folder and file.
    """
    folder.mkdir(parents=True, exist_ok=True)
    pairs = data["verification"]
    draw: tuple[Callable[[Path], None] | None, ...] = (
        lambda path: _cmc(data).savefig(path),
        (lambda path: _verification(pairs).savefig(path)) if pairs else None,
        lambda path: _queries(data, small).savefig(path),
        (lambda path: _confusions(data).savefig(path)) if data["confusions"] else None,
        (lambda path: save_plot(path, records)) if records else None,
        lambda path: _map(data, map_of()).savefig(path),
    )
    with warnings.catch_warnings():
        # matplotlib draws boxes for letters that its fonts lack.
        warnings.filterwarnings("ignore", message="Glyph .* missing")
        for name, save in zip(PLOTS, draw, strict=True):
            if save is None:
                continue
            with attempts.at(f"{folder.name}/{name}"):
                save(folder / name)


def _cmc(data: Mapping[str, Any]) -> Any:
    figure = new_figure(6, 3.6)
    axes = figure.subplots()
    axes.plot(*zip(*data["cmc"], strict=True), color=BLUE, linewidth=2)
    axes.set_xscale("log")
    axes.set_ylim(0, 1.02)
    axes.yaxis.set_major_formatter(lambda value, _: f"{100 * value:.0f} %")
    axes.set_xlabel("k")
    axes.set_title("Recall@k")
    axes.grid(alpha=0.25)
    axes.spines[["top", "right"]].set_visible(False)
    return figure


def _verification(pairs: Mapping[str, Any]) -> Any:
    figure = new_figure(9, 3.8)
    roc, det = figure.subplots(1, 2)
    roc.plot(*zip(*pairs["roc"], strict=True), color=BLUE, linewidth=2)
    roc.set_ylim(0, 1.02)
    roc.yaxis.set_major_formatter(lambda value, _: f"{100 * value:.0f} %")
    roc.set_title(f"ROC: TAR over FAR, AUC {pairs['auc']:.4f}")
    if pairs["det"]:
        det.plot(*zip(*pairs["det"], strict=True), color=BLUE, linewidth=2)
        det.set_yscale("log")
        det.set_title(f"DET: 1 - TAR over FAR, EER {100 * pairs['eer']:.1f} %")
    else:
        det.set_axis_off()  # all genuine pairs are nearer than all others
    for axes in (roc, det):
        axes.set_xscale("log")
        axes.set_xlabel("FAR")
        axes.grid(alpha=0.25)
        axes.spines[["top", "right"]].set_visible(False)
    return figure


def _map(data: Mapping[str, Any], map_of: Map) -> Any:
    import matplotlib

    figure = new_figure(7, 7)
    axes = figure.subplots()
    classes = np.array(data["items"]["class"])[data["map"]["item"]]
    colours = matplotlib.colormaps["hsv"](classes * 0.381966 % 1)
    right = np.array(data["map"]["right"], bool)
    faces = np.where(right[:, None], colours, 0)
    axes.scatter(
        *map_of.points.T,
        s=14,
        facecolors=faces,
        edgecolors=colours,
        linewidths=0.8,
        alpha=0.8,
    )
    axes.set_aspect("equal")
    axes.invert_yaxis()  # as on the page
    axes.set_axis_off()
    axes.set_title(f"{map_of.method}; hollow: the first neighbour is wrong")
    return figure


def _queries(data: Mapping[str, Any], small: np.ndarray | None) -> Any:
    queries = data["queries"]
    order = np.argsort(queries["precision"], kind="stable")
    best, worst = order[::-1][:BEST_AND_WORST], order[:BEST_AND_WORST][::-1]
    ends = list(dict.fromkeys([*best, *worst]))  # few queries may be in both
    columns = 1 + len(queries["neighbours"][0])
    axes = _inches(1.05 * columns, 1.25 * len(ends) + 0.4)
    for row, query in enumerate(ends):
        precision = f"AP {100 * queries['precision'][query]:.0f} %"
        _cell(axes, (row, 0), data, small, queries["item"][query], precision, "#718096")
        near = zip(queries["neighbours"][query], queries["right"][query], strict=True)
        for column, (neighbour, right) in enumerate(near, start=1):
            title, colour = ("right", RIGHT) if right else ("wrong", WRONG)
            _cell(axes, (row, column), data, small, neighbour, title, colour)
    title = "Best and worst queries (left) and their nearest neighbours"
    axes.text(1.05 * columns / 2, 0.15, title, ha="center", va="center", size=12)
    return axes.figure


def _inches(width: float, height: float) -> Any:
    """Axes as large as their figure, measured in inches from its upper left corner.

    Axes of its own for each small image take ten times as long as to draw the images.
    """
    figure = new_figure(width, height)
    figure.set_layout_engine("none")
    axes = figure.add_axes((0, 0, 1, 1), xlim=(0, width), ylim=(height, 0))
    axes.set_axis_off()
    return axes


def _cell(
    axes: Any,
    place: tuple[int, int],
    data: Mapping[str, Any],
    small: np.ndarray | None,
    item: int,
    title: str,
    colour: str,
) -> None:
    """An item in its row and column: a frame around its image, or around its class."""
    from matplotlib.patches import Rectangle

    side, top, left = 0.97, 0.5 + 1.25 * place[0], 0.04 + 1.05 * place[1]
    middle = left + side / 2
    axes.text(middle, top - 0.06, title, ha="center", va="bottom", size=8)
    frame = {"fill": False, "edgecolor": colour, "linewidth": 2.5, "zorder": 2}
    axes.add_patch(Rectangle((left, top), side, side, **frame))
    if small is not None:
        inside = (left, left + side, top + side, top)
        axes.imshow(small[item], extent=inside, aspect="auto")
        return
    name = data["classes"]["name"][data["items"]["class"][item]]
    at = {"ha": "center", "va": "center"}
    axes.text(middle, top + side / 2, name[:14], size=7, parse_math=False, **at)


def _confusions(data: Mapping[str, Any]) -> Any:
    pairs, names = data["confusions"], data["classes"]["name"]
    figure = new_figure(8, 0.3 * len(pairs) + 1)
    axes = figure.subplots()
    totals = [pair["total"] for pair in pairs]
    axes.barh(range(len(pairs)), totals, color=BLUE)
    labels = [" / ".join(names[c][:30] for c in pair["classes"]) for pair in pairs]
    axes.set_yticks(range(len(pairs)), labels, fontsize=8, parse_math=False)
    axes.invert_yaxis()
    axes.set_xlabel("queries whose nearest neighbour is of the other class")
    axes.xaxis.get_major_locator().set_params(integer=True)
    axes.spines[["top", "right"]].set_visible(False)
    return figure
