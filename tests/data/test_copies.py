"""Which images count as one, by their files, and which notes report it."""

import os
import re

import numpy as np
import pytest
from PIL import Image

from jml.data import decode, in_shop, table
from jml.data._sources._files import File
from jml.data._sources._listing import make_listing
from tests.data import layouts


def write_table(root, rows, columns="path,label,split"):
    (root / "t.csv").write_text("\n".join([columns, *rows]) + "\n")
    return root / "t.csv"


def write_files(root, **contents):
    for name, content in contents.items():
        (root / name).write_bytes(content)


def numbers(note):
    return [int(word) for word in re.findall(r"\d+", note)]


def test_ids_are_those_of_comparing_every_file_with_every_other(tmp_path):
    rng = np.random.default_rng(0)
    ends = [bytes(5000), bytes(4999) + b"x"]
    pool = [head + end for head in (b"1", b"2", b"1" * 9) for end in ends] + [b"1"]
    data = [pool[i] for i in rng.integers(0, len(pool), 60)]
    data[::3] = [rng.bytes(40) for _ in data[::3]]
    write_files(tmp_path, **{str(i): content for i, content in enumerate(data)})
    files = [*range(60), *range(0, 20, 2)]  # some are listed twice
    role = rng.choice(["train", "query", "gallery"], 70, p=[0.3, 0.3, 0.4])
    rows = [f"{i},{'ab'[n % 2]},{role[n]}" for n, i in enumerate(files)]
    listing = table(write_table(tmp_path, rows))

    data = [data[i] for i in files]
    same = np.array([[one == other for other in data] for one in data])
    tested = role != "train"
    assert ((listing.ids[:, None] == listing.ids) == same)[tested].all()
    query, gallery, train = (role == r for r in ("query", "gallery", "train"))
    twins = same & ~np.eye(70, dtype=bool) & (role[:, None] == role)
    assert [numbers(note) for note in listing.notes] == [
        [
            (query & same[:, gallery].any(axis=1)).sum(),
            query.sum(),
            (gallery & same[:, query].any(axis=1)).sum(),
            gallery.sum(),
        ],
        [
            (tested & same[:, train].any(axis=1)).sum(),
            tested.sum(),
            (tested & twins.any(axis=1)).sum(),
            tested.sum(),
        ],
    ]


TRAIN = [f"t{i},{'ab'[i % 2]},train" for i in range(4)]
PLAIN = {f"t{i}": b"to train %d" % i for i in range(4)} | {"x": b"x", "y": b"y"}


@pytest.mark.parametrize("copy", ["path", "spelt", "link", "folder", "hard", "bytes"])
def test_a_copy_of_any_kind_is_the_same_item(tmp_path, copy):
    write_files(tmp_path, **PLAIN)
    other = {"path": "x", "spelt": ".//x", "folder": "here/x"}.get(copy, "z")
    if copy == "link":
        (tmp_path / "z").symlink_to("x")
    elif copy == "hard":
        os.link(tmp_path / "x", tmp_path / "z")
    elif copy == "bytes":
        (tmp_path / "z").write_bytes(b"x")
    (tmp_path / "here").symlink_to(".")
    rows = ["x,c,query", "y,d,query", f"{other},c,gallery", "x,d,gallery"]
    listing = table(write_table(tmp_path, [*TRAIN, *rows]))
    (first,) = listing.ids[listing.query[:1]]
    assert listing.ids[listing.gallery].tolist() == [first, first]
    assert len(np.unique(listing.ids)) == 6
    left_out, kept = listing.notes
    assert "queries are in the gallery, too, as the same file or a copy" in left_out
    assert numbers(left_out) == [1, 2, 2, 2]
    assert numbers(kept) == [2, 4]  # both of the gallery


def test_within_test_a_path_listed_twice_is_one_item_and_copies_are_counted(tmp_path):
    write_files(tmp_path, **PLAIN, z=b"x", w=b"to train 1")
    (tmp_path / "here").symlink_to(".")
    rows = ["x,c,test", "y,c,test", "here/x,c,test", "z,d,test", "w,d,test"]
    listing = table(write_table(tmp_path, [*TRAIN, *rows]))
    ids = listing.ids[listing.query]
    assert ids[0] == ids[2] and len(np.unique(listing.ids)) == 8
    listed, kept = listing.notes
    assert listed == (
        "t: 2 of 5 test images are listed more than once; their rankings leave"
        " themselves out"
    )
    assert kept == (
        "t: equal bytes: 1 of 5 test images also in training, 3 of 5 test images more"
        " than once in test; they stay in the rankings"
    )


def test_in_shop_leaves_out_copies_of_the_same_path_only(tmp_path):
    layouts.in_shop(tmp_path)
    place = "img/WOMEN/Dresses/id_{:08}/{:02}_front.jpg"
    copied = tmp_path / place.format(3, 0)
    (tmp_path / place.format(4, 1)).write_bytes(copied.read_bytes())
    with open(tmp_path / "Eval" / "list_eval_partition.txt", "a") as file:
        file.write(f"\n{place.format(5, 0)} id_00000005 gallery")
    listing = in_shop(tmp_path)
    query, gallery = (listing.ids[rows] for rows in (listing.query, listing.gallery))
    assert (query[:, None] == gallery).astype(int).tolist() == [
        [0, 0, 0, 0],
        [0, 0, 0, 0],
        [0, 0, 0, 1],
    ]
    left_out, kept = listing.notes[-2:]
    assert "as the same file:" in left_out and numbers(left_out) == [1, 3, 1, 4]
    assert "2 of 7 test images more than once in test" in kept


def test_files_that_cannot_be_read_are_copies_of_no_other(tmp_path):
    write_files(tmp_path, **PLAIN, e=b"", f=b"")
    for name in ("pipe", "pipe2"):
        os.mkfifo(tmp_path / name)  # reading it would wait for ever
    for name in ("loop", "loop2"):
        (tmp_path / name).symlink_to(name)
    names = ["e", "f", "none", "none2", "pipe", "pipe2", "loop", "loop2", ".", "t0/x"]
    names += ["nul\0", "nul\0/x", "n" * 300, "loop/x", "\ud83d", "t0", "t1", "t2", "t3"]
    files = [File(os.path.join(tmp_path, name)) for name in names]
    rows = np.arange(len(files))
    test, labels = rows < len(files) - 4, rows % 2
    query, gallery = test & (rows // 2 % 2 == 0), test & (rows // 2 % 2 == 1)
    options = {"train": ~test, "query": query, "gallery": gallery}
    listing = make_listing("t", files, labels, **options)
    assert listing.ids.tolist() == rows.tolist() and listing.notes == ()


@pytest.mark.parametrize("cache", ["host", "disk", "none"])
def test_decoding_keeps_ids_and_groups_beside_their_images(tmp_path, cache):
    rng = np.random.default_rng(0)
    for name in ("t0", "t1", "t2", "t3", "x", "y", "z"):
        image = Image.fromarray(rng.integers(0, 256, (4, 4, 3), np.uint8))
        image.save(tmp_path / name, "png")
    (tmp_path / "bad").write_text("no image")
    rows = ["bad,c,query,1", "x,c,query,1", "y,c,query,2", "x,c,gallery,2"]
    rows += ["bad,c,gallery,1", "y,c,gallery,", "z,c,gallery, -1 ", "x,c,gallery,1 "]
    path = write_table(tmp_path, [*TRAIN, *rows], "path,label,split,group")
    options = {"cache": cache, "cache_folder": tmp_path / "cache", "skip_bad": True}
    for _ in range(2):  # a cache is found again
        data = decode(table(path), image_size=4, **options)
        query, gallery = data.query, data.gallery
        equal = (query.images[:][:, None] == gallery.images[:]).all(axis=(2, 3, 4))
        assert ((query.ids[:, None] == gallery.ids) == equal).all()
        assert query.groups.tolist() == [0, 1]
        assert gallery.groups.tolist() == [1, -1, -1, 0]
        assert data.train.groups.tolist() == [-1] * 4 and len(data.train.ids) == 4
    assert "t: 2 groups are in use: a query's ranking leaves out" in data.notes[2]


@pytest.mark.parametrize("cell", ["", ",", ", -1 "])
def test_a_table_whose_test_images_have_no_group_has_none(tmp_path, cell):
    write_files(tmp_path, **PLAIN)
    rows = [f"{row},7" for row in TRAIN] + [f"{n},c,test{cell}" for n in "xy"]
    listing = table(write_table(tmp_path, rows, "path,label,split,group"))
    assert listing.groups is None and listing.notes == ()
