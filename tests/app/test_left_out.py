"""Copies of a query, and images of its group: left out by all that measures."""

import numpy as np
import pytest
from PIL import Image

from jml.app._config import Config
from jml.app._embed import check_findable, embed_pixels, recalls
from jml.app._inputs import list_images, load_dataset
from jml.app._report import report_run
from jml.data import decode, table
from jml.errors import UserError
from tests.report.page import data_of

pytestmark = pytest.mark.usefixtures("quick_compilation")


@pytest.fixture
def rows(tmp_path):
    """Path, label, split and group of noise; some of the gallery are copies."""
    rng = np.random.default_rng(0)

    def draw(name):
        image = rng.integers(0, 256, (4, 4, 3), np.uint8)
        Image.fromarray(image).save(tmp_path / name, "png")

    for name in [*(f"t{i}" for i in range(4)), *(f"q{i}" for i in range(24))]:
        draw(name)
    rows = [(f"t{i}", f"train{i % 2}", "train", "") for i in range(4)]
    rows += [(f"q{i}", str(i % 3), "query", rng.integers(4)) for i in range(24)]
    for i in range(60):
        name, copied = f"g{i}", tmp_path / f"q{i // 2}"
        if i < 20:
            (tmp_path / name).write_bytes(copied.read_bytes())
        else:
            draw(name)
        name = copied.name if i < 10 else name
        rows.append((name, str(i % 3), "gallery", rng.integers(4)))
    return [(*row, group or "") for *row, group in rows]


def write_table(folder, rows):
    lines = [
        ",".join(map(str, row)) for row in [("path", "label", "split", "group"), *rows]
    ]
    (folder / "t.csv").write_text("\n".join(lines))


def read(folder, rows):
    write_table(folder, rows)
    return decode(table(folder / "t.csv"), image_size=4)


def findable(dataset):
    check_findable(dataset.name, dataset.query, dataset.gallery)


def rankings(folder, rows):
    """For each query, the rows of the gallery that it ranks, the nearest first."""
    pixels = [np.asarray(Image.open(folder / name), float) for name, *_ in rows]
    data = [(folder / name).read_bytes() for name, *_ in rows]
    for i, (name, label, split, group) in enumerate(rows):
        if split not in ("query", "test"):
            continue
        ranked = []
        for j, (other, *_, role, its_group) in enumerate(rows):
            same = name == other if split == "test" else data[i] == data[j]
            grouped = group != "" and (label, group) == (rows[j][1], its_group)
            if role == split.replace("query", "gallery") and not same and not grouped:
                ranked.append((np.sum((pixels[i] - pixels[j]) ** 2), j))
        yield i, [j for _, j in sorted(ranked)]


@pytest.mark.parametrize("grouped", [pytest.param(False, marks=pytest.mark.slow), True])
@pytest.mark.parametrize("among_themselves", [False, True])
def test_pixels_recalls_and_report_leave_out_the_same_images(
    tmp_path, rows, grouped, among_themselves, monkeypatch
):
    monkeypatch.setattr("jml.report._report.save_plots", lambda *parts: None)
    if not grouped:
        rows = [(*row, "") for *row, _ in rows]
    if among_themselves:
        rows = [
            (name, label, split if split == "train" else "test", group)
            for name, label, split, group in rows
        ]
    dataset = read(tmp_path, rows)
    label = [row[1] for row in rows]
    known = {i: ranked for i, ranked in rankings(tmp_path, rows)}
    found = {i: [label[j] == label[i] for j in ranked] for i, ranked in known.items()}
    right = [hits for hits in found.values() if any(hits)]
    expected = {k: np.mean([any(hits[:k]) for hits in right]) for k in (1, 2, 4, 8)}

    pixels = embed_pixels(dataset, crop=4)
    assert recalls(pixels, dataset) == pytest.approx(expected, abs=1e-12)

    config = Config(dataset="csv", dataroot=str(tmp_path / "t.csv"))
    seen = []
    options = {"notify": lambda line: None, "show": seen.append}
    report_run(tmp_path, config, dataset, pixels, [], **options)
    (found,) = seen
    measured = {k: found.metrics[f"recall@{k}"] for k in expected}
    assert measured == pytest.approx(expected, abs=1e-12)
    data = data_of(tmp_path / "report.html")
    first = 4 if among_themselves else 28  # rows before those that are searched
    number = data["items"]["number"]
    for item, near in zip(
        data["queries"]["item"], data["queries"]["neighbours"], strict=True
    ):
        ranked = known[4 + number[item]]
        assert [first + number[j] for j in near] == ranked[: len(near)]
        assert len(near) == 8
    facts = {name for name, _ in data["facts"]}
    assert ("left out of each ranking" in facts) == grouped


def test_queries_without_relevant_images_are_reported_before_and_after_decoding(
    tmp_path, rows
):
    query = [("q0", "0", "query", ""), ("q0", "0", "gallery", "")]
    listed = {"dataset": "csv", "dataroot": str(tmp_path / "t.csv"), "image_size": 16}
    (tmp_path / "bad").write_text("no image")
    for more, options in (
        (("bad", "1", "gallery", ""), {}),  # and is not met
        (("bad", "0", "gallery", ""), {"on_bad_image": "skip"}),
    ):
        write_table(tmp_path, [*rows[:4], *query, more])
        with pytest.raises(UserError, match="no query of t has another image"):
            config = Config(**listed, **options)
            load_dataset(config, list_images(config))


def test_a_data_set_without_relevant_images_is_one_line(tmp_path, rows):
    train, query = rows[:4], rows[4]
    copies = [("g0", "0", "gallery", "1"), ("g1", "0", "gallery", "2")]
    others = [("g30", "0", "gallery", "2"), ("g31", "1", "gallery", "")]
    query = ("q0", "0", "query", "2")
    with pytest.raises(
        UserError, match=r"^--dataroot: no query of t has another image"
    ):
        findable(read(tmp_path, [*train, query, *copies, *others]))
    findable(read(tmp_path, [*train, query, *copies, ("g33", *others[0][1:3], "")]))
    alone = [
        ("g30", "0", "test", ""),
        ("g30", "0", "test", ""),
        ("g31", "1", "test", ""),
    ]
    with pytest.raises(UserError, match="no query of t"):
        findable(read(tmp_path, [*train, *alone]))
    findable(read(tmp_path, [*train, *alone, ("g33", "1", "test", "")]))
