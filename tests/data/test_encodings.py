"""Lists and folders whose names are bytes of another encoding than UTF-8."""

import os

import numpy as np
import pytest
from PIL import Image

from jml.data import cub200, decode, folder, table

# The second byte of the first is a backslash, in Shift-JIS and in GBK.
CLASSES = {
    "cp932": ("表", "中", "鶴", "b"),
    "gbk": ("俓", "中", "鹤", "b"),
    "latin-1": ("café", "cafè", "cafê", "b"),
}


@pytest.fixture(params=CLASSES)
def root(request, tmp_path):
    """CUB's layout, with a table beside its list of images."""
    encoding, root = request.param, os.fsencode(tmp_path)
    names = [name.encode(encoding) for name in CLASSES[encoding]]
    os.mkdir(root + b"/images")
    listed, labels, rows = [], [], [b"path,label,split"]
    for number, name in enumerate(names):
        os.mkdir(root + b"/images/" + name)
        for i in range(2):
            path, key = name + b"/%d.png" % i, b"%d" % len(listed)
            image = Image.new("RGB", (8, 8), (60 * number, 0, 0))
            with open(root + b"/images/" + path, "wb") as file:
                image.save(file, "png")
            listed.append(key + b" " + path)
            labels.append(key + b" %d" % (number + 99))  # two classes up to 100
            split = b"train" if number < 2 else b"test"
            place = (b"images/", b"images/./")[i] + path
            rows.append(b",".join([place, name, split]))
    for name, lines in {
        "images.txt": listed,
        "image_class_labels.txt": labels,
        "table.csv": rows,
    }.items():
        (tmp_path / name).write_bytes(b"\n".join(lines))
    return tmp_path, names


def test_lists_in_every_encoding_name_their_images(root):
    place, names = root
    for listing in (table(place / "table.csv"), folder(place / "images")):
        assert {os.fsencode(name) for name in listing.class_names} == set(names)
        data = decode(listing, image_size=8, cache="host")
        for split in (data.train, data.query):
            classes = split.images[:][:, 0, 0, 0] // 60  # what was drawn
            found = [os.fsencode(data.class_names[label]) for label in split.labels]
            assert found == [names[number] for number in classes]
    data = decode(cub200(place), image_size=8, cache="host")
    for split, classes in ((data.train, [0, 0, 1, 1]), (data.query, [2, 2, 3, 3])):
        np.testing.assert_array_equal(split.images[:][:, 0, 0, 0] // 60, classes)
        np.testing.assert_array_equal(split.labels, classes)
