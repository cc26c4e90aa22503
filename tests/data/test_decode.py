"""Where decoded images are kept, and what happens to those that cannot be read."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from jml.data import cub200, decode
from jml.data._decoding import _decoder
from jml.data._decoding import _disk_cache as disk_cache_module
from jml.errors import UserError
from tests.data import layouts


@pytest.fixture
def listing(tmp_path):
    return cub200(layouts.cub200(tmp_path / "birds"))


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "cache"


def all_images(data):
    return [split.images[:] for split in (data.train, data.query)]


def entries(folder):
    return sorted(path.name for path in folder.iterdir())


def test_every_cache_of_images_holds_the_same(listing, folder):
    host, disk, none = (
        all_images(decode(listing, image_size=8, cache=cache, cache_folder=folder))
        for cache in ("host", "disk", "none")
    )
    for other in (disk, none):
        for one, two in zip(host, other, strict=True):
            np.testing.assert_array_equal(one, two)


def test_cached_images_are_read_by_any_rows_in_any_order(listing, folder):
    for cache in ("host", "disk", "none"):
        data = decode(listing, image_size=8, cache=cache, cache_folder=folder)
        images = data.query.images
        assert images.shape == (9, 8, 8, 3) and len(images) == 9
        np.testing.assert_array_equal(images[np.array([4, 0, 4])][0], images[4:5][0])


@pytest.fixture
def decoded(monkeypatch):
    """How many images were decoded."""
    count = []
    original = _decoder.decode_square

    def counted(image, side):
        count.append(image)
        return original(image, side)

    monkeypatch.setattr(_decoder, "decode_square", counted)
    return count


def test_a_run_with_a_cache_decodes_nothing(listing, folder, decoded):
    for _ in range(2):
        decode(listing, image_size=8, cache="disk", cache_folder=folder)
        assert len(decoded) == 18
    assert len(entries(folder)) == 1


def test_other_images_or_settings_are_another_cache(listing, folder, decoded):
    def run(image_size=8):
        decode(listing, image_size=image_size, cache="disk", cache_folder=folder)

    run()
    run(image_size=9)
    assert len(decoded) == 36
    layouts.jpeg(Path(listing.images[3].path), 99)
    run()
    assert len(decoded) == 54
    assert len(entries(folder)) == 3


def overwrite_the_last_byte(path):
    data = path.read_bytes()
    path.write_bytes(data[:-1] + bytes([data[-1] ^ 255]))


@pytest.mark.parametrize(
    "damage",
    [
        lambda cache: (cache / "cache.json").unlink(),
        lambda cache: (cache / "cache.json").write_text("{"),
        lambda cache: (cache / "cache.json").write_text("[]"),
        lambda cache: (cache / "images.npy").unlink(),
        lambda cache: os.truncate(cache / "images.npy", 1000),
        lambda cache: (cache / "images.npy").write_bytes(
            bytes((cache / "images.npy").stat().st_size)
        ),
        lambda cache: overwrite_the_last_byte(cache / "images.npy"),
    ],
    ids=["no note", "half a note", "other note", "no pixels", "cut", "zeros", "pixel"],
)
def test_a_damaged_cache_is_made_anew(listing, folder, decoded, damage, capsys):
    before = decode(listing, image_size=8, cache="disk", cache_folder=folder)
    expected = all_images(before)
    del before
    damage(next(folder.iterdir()))
    after = decode(listing, image_size=8, cache="disk", cache_folder=folder)
    assert len(decoded) == 36
    for one, two in zip(expected, all_images(after), strict=True):
        np.testing.assert_array_equal(one, two)
    assert "is damaged: decoding anew" in capsys.readouterr().err


def test_decoding_that_fails_leaves_no_cache(listing, folder):
    Path(listing.images[17].path).write_text("no image")
    with pytest.raises(UserError, match="cannot read the image"):
        decode(listing, image_size=8, cache="disk", cache_folder=folder)
    assert entries(folder) == []


def test_a_cache_that_a_killed_run_left_is_removed(listing, folder):
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    decode(listing, image_size=8, cache="disk", cache_folder=folder)
    name = entries(folder)[0]
    gone, alive = f"{name}.partial-{process.pid}", f"{name}.partial-{os.getppid()}"
    (folder / gone).mkdir()
    (folder / alive).mkdir()
    (folder / name / "cache.json").unlink()
    decode(listing, image_size=8, cache="disk", cache_folder=folder)
    assert entries(folder) == [name, alive]


def test_a_cache_on_a_full_disk_is_one_line(listing, folder, monkeypatch):
    def full(*arguments):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(disk_cache_module.os, "posix_fallocate", full)
    with pytest.raises(UserError) as caught:
        decode(listing, image_size=8, cache="disk", cache_folder=folder)
    message = str(caught.value)
    assert message.startswith("`cache`: cannot write 0 MiB")
    assert "No space left" in message and '`cache="none"`' in message
    assert entries(folder) == []


def test_a_cache_folder_that_is_a_file_is_one_line(listing, tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(UserError, match="`cache`: cannot write"):
        decode(
            listing, image_size=8, cache="disk", cache_folder=tmp_path / "file" / "x"
        )


@pytest.mark.parametrize("cache", ["host", "disk", "none"])
def test_bad_images_are_skipped_and_counted(listing, folder, cache):
    for row, content in ((1, b""), (16, b"no image")):
        Path(listing.images[row].path).write_bytes(content)
    for _ in range(2):  # a cache remembers them
        data = decode(
            listing, image_size=8, cache=cache, cache_folder=folder, skip_bad=True
        )
        assert len(data.train.labels) == len(data.train.images) == 8
        assert data.train.labels.tolist() == [0, 0, 1, 1, 1, 2, 2, 2]
        assert len(data.query.labels) == 8
        assert data.notes[-1].startswith("2 of 18 images cannot be read")
        assert listing.images[1].name in data.notes[-1]


def test_images_that_a_cache_lacks_are_an_error_to_the_next_run(listing, folder):
    Path(listing.images[1].path).write_text("no image")
    options = {"image_size": 8, "cache": "disk", "cache_folder": folder}
    decode(listing, **options, skip_bad=True)
    with pytest.raises(UserError, match="cannot read the image"):
        decode(listing, **options)


def test_absent_and_bad_images_are_errors_unless_skipped(listing, folder):
    os.unlink(listing.images[5].path)
    for cache in ("host", "disk"):
        with pytest.raises(UserError) as caught:
            decode(listing, image_size=8, cache=cache, cache_folder=folder)
        message = str(caught.value)
        assert listing.images[5].path in message and "No such file" in message
        assert "`skip_bad=True`" in message
    data = decode(listing, image_size=8, cache="none")
    with pytest.raises(UserError, match="No such file"):
        data.train.images[:]


def test_bad_images_are_all_named_at_once(listing, folder):
    for row in range(3, 15):
        Path(listing.images[row].path).write_text("no image")
    os.unlink(listing.images[16].path)
    options = {"image_size": 8, "cache": "disk", "cache_folder": folder}
    for _ in range(2):  # the second finds a cache that leaves them out
        with pytest.raises(UserError) as caught:
            decode(listing, **options)
        message = str(caught.value)
        assert message.startswith("`listing`: 13 of 18 images cannot be read: '")
        for row, image in enumerate(listing.images):
            assert (repr(image.name) in message) == (3 <= row < 13)
        assert "and 3 more; of the first: cannot read the image '" in message
        assert "no image that Pillow knows" in message and "\n" not in message
        decode(listing, **options, skip_bad=True)


def test_images_left_out_may_leave_a_class_with_one(listing):
    for row in (0, 1):
        os.unlink(listing.images[row].path)
    assert not any("single image" in note for note in listing.notes)
    for singletons, words in (
        ("skip", " and are never"),
        ("views", ", which fills all"),
    ):
        data = decode(listing, image_size=8, skip_bad=True, singletons=singletons)
        (note,) = [note for note in data.notes if "single image" in note]
        assert f"1 of 3 training classes have a single image{words}" in note


def test_a_split_of_bad_images_only_is_an_error(listing):
    for row in listing.query:
        os.unlink(listing.images[row].path)
    with pytest.raises(UserError, match="no image for query that can be read"):
        decode(listing, image_size=8, cache="host", skip_bad=True)


def test_the_kind_of_cache_is_chosen_by_size(listing, folder, monkeypatch):
    def chosen():
        decode(listing, image_size=8, cache_folder=folder)
        return folder.exists()

    assert not chosen()
    monkeypatch.setitem(decode.__globals__, "SMALL", 100)
    monkeypatch.setitem(decode.__globals__, "_room", lambda folder: 100)
    assert not chosen()
    monkeypatch.setitem(decode.__globals__, "_room", lambda folder: 2**40)
    assert chosen()


def test_a_note_in_a_cache_cannot_point_outside(listing, folder):
    decode(listing, image_size=8, cache="disk", cache_folder=folder)
    note = next(folder.iterdir()) / "cache.json"
    content = json.loads(note.read_text())
    note.write_text(json.dumps(content | {"bad": [10**9]}))
    data = decode(listing, image_size=8, cache="disk", cache_folder=folder)
    assert len(data.train.labels) == 9


def test_images_whose_names_look_alike_have_their_own_cache(tmp_path, decoded):
    roots = [tmp_path / f"caf{byte}" for byte in ("\udce8", "\udce9")]
    for root in roots:
        layouts.cub200(root)
        for path in root.rglob("*.jpg"):
            os.utime(path, ns=(1, 1))
    for count, root in enumerate([*roots, *roots], start=1):
        decode(cub200(root), image_size=8, cache="disk", cache_folder=tmp_path / "c")
        assert len(decoded) == 18 * min(count, 2)
