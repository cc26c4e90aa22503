"""What a run was tested on, for the commands that use its network."""

import json
import os
from dataclasses import asdict

import numpy as np
import pytest

from jml.app import _inputs
from jml.app._config import Config
from jml.app._use._test_images import list_test_images
from jml.data import Dataset, Split, folder
from jml.errors import UserError


def write_run(place, **settings):
    place.mkdir()
    (place / "config.json").write_text(json.dumps(asdict(Config(**settings))))
    return place


def test_the_test_images_of_a_folder_are_its_queries_by_path(images, tmp_path):
    run = write_run(tmp_path / "run", dataroot=str(images), image_size=16)
    tested, listing = list_test_images(run), folder(images)
    expected = [listing.images[row].name for row in listing.query]
    assert tested.names == expected and all(map(os.path.isfile, tested.names))
    assert [image.name for image in tested.images] == expected
    assert tested.gallery is None and len(tested.query) == len(expected)
    assert not tested.trained.any() and tested.dataset == listing.name
    for path, name in zip(tested.names, tested.classes, strict=True):
        assert os.path.basename(os.path.dirname(path)) == name


def test_a_gallery_follows_the_queries(write_images, tmp_path):
    for split in ("train", "query", "gallery"):
        write_images(tmp_path / "in" / split, classes=4, per_class=2)
    run = write_run(tmp_path / "run", dataroot=str(tmp_path / "in"), image_size=16)
    tested = list_test_images(run)
    parts = np.array([name.split(os.sep)[-3] for name in tested.names])
    assert set(parts[tested.query]) == {"query"}
    assert set(parts[tested.gallery]) == {"gallery"}
    assert sorted([*tested.query, *tested.gallery]) == list(range(16))
    assert tested.trained.all()


def test_drawn_characters_have_names_that_stay_the_same(tmp_path, monkeypatch):
    run = write_run(tmp_path / "run", image_size=16)
    drawn = np.random.default_rng(0).integers(0, 256, (5, 18, 18, 3), np.uint8)
    query = Split(drawn, np.array([2, 3, 2, 3, 2], np.int32))
    few = Dataset("glyphs", Split(drawn, query.labels - 2), query, None, tuple("abcd"))
    monkeypatch.setattr(_inputs, "glyphs", lambda *, image_size, **_: few)
    tested = list_test_images(run)
    np.testing.assert_array_equal(tested.images, drawn)
    assert tested.names[:2] == ["glyphs/00000", "glyphs/00001"]
    assert tested.classes == list("cdcdc") and not tested.trained.any()
    with pytest.raises(UserError, match=r"^--dataroot: 'x' is not used"):
        list_test_images(run, dataroot="x")


def test_a_data_set_that_has_moved_is_found_by_its_new_place(images, tmp_path):
    run = write_run(tmp_path / "run", dataroot=str(tmp_path / "gone"), image_size=16)
    with pytest.raises(UserError, match="gone"):
        list_test_images(run)
    assert list_test_images(run, dataroot=str(images)).names
    with pytest.raises(UserError, match=r"config\.json"):
        list_test_images(tmp_path)
