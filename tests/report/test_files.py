"""The files of a report: whole in themselves, of bounded size, never half-written."""

import json

import numpy as np
import pytest
from PIL import Image

from jml._names import shell_line
from jml.errors import IncompleteError, UserError
from jml.report import FILES, _plots
from jml.report._embedding_map import embedding_map
from jml.report._page import as_json
from jml.report._thumbnails import BUDGET, SIDE, sheets, thumbnails

from .page import data_of
from .small import NASTY, RECORDS, items, write


def test_the_page_refers_to_nothing_outside_itself(report):
    text = report.read_text()
    assert "http://" not in text.replace("http://www.w3.org/2000/svg", "")
    assert "https://" not in text


def test_markup_in_names_stays_text(report):
    text = report.read_text()
    assert text.count("<script") == text.count("</script>") == 2
    assert "<img" not in text
    assert "&lt;/script&gt;" in text.split("</title>")[0]
    data = data_of(report)
    assert data["title"] == data["classes"]["name"][0] == NASTY
    assert json.loads(as_json({"<": "&>\u2028"})) == {"<": "&>\u2028"}


def test_every_number_of_an_item_leads_back_to_it(report):
    data, query = data_of(report), items(90, 6)
    labels = query.labels[data["items"]["number"]]
    assert labels.tolist() == data["items"]["class"]  # the labels are 0 to 5
    for i, near, right in zip(
        *(data["queries"][k] for k in ("item", "neighbours", "right")), strict=True
    ):
        assert [int(labels[j] == labels[i]) for j in near] == right


@pytest.mark.slow
def test_plots_are_drawn_and_stale_ones_removed(report, tmp_path):
    for name in FILES[1:]:
        with Image.open(report.parent / name) as image:
            assert image.format == "PNG" and min(image.size) > 200
            assert len(image.convert("RGB").getcolors(2**24)) > 20
    folder = tmp_path
    (folder / "report").mkdir()
    (folder / "report" / "training.png").write_text("of an earlier run")
    (folder / "report" / "mine.txt").write_text("mine")
    write(folder, items(12, 2, images=False))
    assert not (folder / "report" / "training.png").exists()
    assert (folder / "report" / "mine.txt").exists()


def broken(*arguments, **options):
    raise RuntimeError("broken\ninside")


class Gone(np.ndarray):
    """Images whose files have gone."""

    def __getitem__(self, rows):
        raise UserError("cannot read the image 'a.png'")


def test_a_part_of_the_report_that_fails_costs_no_other(tmp_path, monkeypatch):
    for path in (tmp_path / name for name in FILES):
        path.parent.mkdir(exist_ok=True)
        path.write_text("earlier")
    monkeypatch.setattr("jml.report._embedding_map.tsne", broken)
    monkeypatch.setattr(_plots, "_queries", broken)
    monkeypatch.setattr("jml.report._same_or_not.verification", broken)
    (tmp_path / "report" / "cmc.png").unlink()
    (tmp_path / "report" / "cmc.png" / "mine").mkdir(parents=True)
    query = items(20, 2)
    query = query._replace(images=np.array(query.images).view(Gone))
    with pytest.raises(IncompleteError) as error:
        write(tmp_path, query, records=RECORDS)
    assert error.value.problems == {
        "the map by t-SNE": "RuntimeError: broken inside",
        "the images in the report": "cannot read the image 'a.png'",
        "report/verification.png": "RuntimeError: broken inside",
        "report/queries.png": "RuntimeError: broken inside",
        "report/cmc.png": f"{str(tmp_path / 'report/cmc.png')!r}: Is a directory",
    }
    assert str(error.value).count("RuntimeError") == 1  # one reason is reported once
    for name in ("queries.png", "verification.png"):
        assert (tmp_path / "report" / name).read_text() == "earlier"
    for name in ("map.png", "training.png"):
        assert b"PNG" in (tmp_path / "report" / name).read_bytes()
    data = data_of(tmp_path / "report.html")
    assert data["map"]["method"] == "principal components" and not data["images"]
    assert not list(tmp_path.glob(".unfinished*"))


@pytest.mark.slow
def test_a_report_without_images_with_odd_names_and_of_two_items(tmp_path):
    page = write(
        tmp_path / "a",
        items(9, 3, images=False),
        items(7, 3, seed=1),
        class_names={0: "caf\udce8", 1: "caf\udce9", 2: "caf\ufffd (0)"},
        title="caf\udce9",
        reproduce={"Again": shell_line(["see", "caf\udce9"]), "Raw": "caf\udce9"},
    )
    data = data_of(page)
    assert data["images"] is False
    assert any(data["items"]["searched"]) and not all(data["items"]["searched"])
    # Names that are not UTF-8 are shown replaced, and stay apart.
    assert "<title>caf\ufffd</title>" in page.read_text(encoding="utf-8")
    names = ["caf\ufffd (0) (0)", "caf\ufffd (1)", "caf\ufffd (0) (2)"]
    assert data["classes"]["name"] == names
    again = [["Again", "see $'caf\\xe9'"], ["Raw", "caf\ufffd"]]
    assert data["reproduce"] == again
    two = items(2, 1)
    assert data_of(write(tmp_path / "b", two))["map"]["points"]


def test_thumbnails_show_their_images():
    rng = np.random.default_rng(0)
    parts = [items(30, 3), items(20, 3, seed=1)]
    wanted = np.array([0, 7, 29, 30, 49])
    small = thumbnails(parts, wanted)
    both = np.concatenate([part.images for part in parts])
    np.testing.assert_array_equal(small, both[wanted])
    large = rng.integers(0, 256, (1, 2 * SIDE, 2 * SIDE, 3), np.uint8)
    (halved,) = thumbnails([items(1, 1)._replace(images=large)], np.array([0]))
    means = large[0].reshape(SIDE, 2, SIDE, 2, 3).mean(axis=(1, 3))
    assert np.abs(halved - means).max() <= 1


@pytest.mark.slow
def test_sheets_of_thumbnails_keep_to_their_budget():
    noise = np.random.default_rng(0).integers(0, 256, (3000, SIDE, SIDE, 3), np.uint8)
    encoded = sheets(noise)
    assert len(encoded) == 3
    assert sum(map(len, encoded)) < 1.4 * BUDGET


@pytest.mark.parametrize("metric", ["euclidean", "cosine"])
def test_a_map_keeps_clusters_together(metric):
    query = items(60, 3)
    centres = np.eye(3, 8, dtype=np.float32)[query.labels] * 20
    points, method = embedding_map(query.embeddings + centres, metric=metric)
    assert method == "t-SNE"
    assert 0 <= points.min() and points.max() <= 1
    gaps = np.linalg.norm(points[:, None] - points, axis=2) + 9 * np.eye(60)
    assert (query.labels[gaps.argmin(axis=1)] == query.labels).all()


def test_a_map_of_few_or_equal_points():
    for x in (np.zeros((30, 4)), np.ones((1, 1)), np.arange(6.0).reshape(3, 2)):
        points, method = embedding_map(x, metric="euclidean")
        assert method == "principal components"
        assert points.shape == (len(x), 2) and np.isfinite(points).all()
