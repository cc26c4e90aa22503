"""The plot of a run: whole steps on its axes, and no words over other words."""

from itertools import combinations

import pytest

from jml.report import _training_plot
from jml.report._training_plot import new_figure, save_plot


def draw(tmp_path, monkeypatch, recalls, pixels, losses):
    figures = []

    def remembered(*size):
        figures.append(new_figure(*size))
        return figures[-1]

    monkeypatch.setattr(_training_plot, "new_figure", remembered)
    records = [
        {"baseline": "raw pixels", "recall@1": pixels},
        *({"step": i, "recall@1": recall} for i, recall in enumerate(recalls)),
        *({"step": i + 1, "loss": loss} for i, loss in enumerate(losses)),
    ]
    save_plot(tmp_path / "plot.png", records)
    return figures[0]


@pytest.mark.parametrize("losses", [[0.5], [0.9, 0.5], [0.9, 0.7, 0.5]], ids=len)
def test_the_plot_of_a_short_run_has_whole_steps(tmp_path, monkeypatch, losses):
    recalls = [0.2] * (len(losses) + 1)
    figure = draw(tmp_path, monkeypatch, recalls, 0.1, losses)
    for axes, first in zip(figure.axes, (1, 0), strict=True):
        low, high = axes.get_xlim()
        ticks = [t for t in axes.get_xticks() if low <= t <= high]
        assert ticks == list(range(first, len(losses) + 1))


@pytest.mark.parametrize(
    ("last", "pixels"),
    [(0.0, 0.0), (0.0, 0.02), (0.26, 0.3), (0.5, 0.5), (0.89, 0.93), (1.0, 0.97)],
)
def test_no_words_of_the_training_plot_overlap(tmp_path, monkeypatch, last, pixels):
    figure = draw(tmp_path, monkeypatch, [0.1, last], pixels, [0.5, 0.4])
    renderer = figure.canvas.get_renderer()
    boxes = {}
    for number, axes in enumerate(figure.axes):
        words = [axes.title, axes.xaxis.label, *axes.texts]
        for axis in (axes.xaxis, axes.yaxis):
            low, high = axis.get_view_interval()
            words += [
                t.label1 for t in axis.get_major_ticks() if low <= t.get_loc() <= high
            ]
        for text in words:
            boxes[number, text.get_text()] = text.get_window_extent(renderer)
    assert (1, "raw pixels") in boxes and (1, f"{100 * last:.1f}") in boxes
    over = [pair for pair in combinations(boxes, 2) if overlap(*map(boxes.get, pair))]
    assert over == []
    assert all(box.x1 <= figure.bbox.x1 for box in boxes.values())


def overlap(a, b):
    return a.x0 < b.x1 and b.x0 < a.x1 and a.y0 < b.y1 and b.y0 < a.y1
