"""The readers, on their layouts in miniature."""

import numpy as np
import pytest

from jml.data import cars196, cub200, decode, in_shop, sop, table
from jml.errors import UserError
from tests.data import layouts

CASES = {
    "cub": (layouts.cub200, cub200),
    "cars": (layouts.cars_ims, cars196),
    "cars devkit": (layouts.cars_devkit, cars196),
    "sop": (layouts.sop, sop),
    "in-shop": (layouts.in_shop, in_shop),
    "csv": (layouts.table, table),
}


def sorted_names(listing, rows):
    return sorted({listing.class_names[label] for label in listing.labels[rows]})


@pytest.mark.parametrize("case", CASES)
def test_every_layout_of_a_data_set_decodes_to_disjoint_classes(case, tmp_path):
    write, read = CASES[case]
    listing = read(write(tmp_path / "data"))
    data = decode(listing, image_size=8, cache="host")
    gallery = data.query if data.gallery is None else data.gallery
    for split in (data.train, data.query, gallery):
        assert split.images[:].shape == (len(split.labels), 8, 8, 3)
    assert not set(data.train.labels) & set(data.query.labels)
    assert set(data.query.labels) <= set(gallery.labels)
    # An image is of one colour, drawn from its number: none is in another's place.
    for image, row in zip(data.train.images[:], listing.train, strict=True):
        again = decode(
            listing._replace(train=np.array([row])), image_size=8, cache="none"
        )
        assert (again.train.images[0:1][0] == image).all()
        assert np.ptp(image.reshape(-1, 3), axis=0).max() <= 2


def test_cub_is_read_from_its_lists(tmp_path):
    listing = cub200(layouts.cub200(tmp_path))
    assert sorted_names(listing, listing.train) == ["001.Bird", "002.Bird", "100.Bird"]
    assert sorted_names(listing, listing.query) == ["101.Bird", "102.Bird", "200.Bird"]
    assert listing.gallery is None
    assert listing.notes[0] == (
        "CUB-200-2011: 9 images in 3 classes for train, where 5,864 in 100 are expected"
    )
    assert "query" in listing.notes[1] and "5,924" in listing.notes[1]


def test_cub_is_read_from_the_folder_above(tmp_path):
    layouts.cub200(tmp_path / "CUB_200_2011")
    assert len(cub200(tmp_path).images) == 18


@pytest.mark.parametrize("write", [layouts.cars_ims, layouts.cars_devkit])
def test_cars_is_read_in_both_layouts(tmp_path, write):
    listing = cars196(write(tmp_path / "cars"))
    assert sorted_names(listing, listing.train) == ["Car 1", "Car 98"]
    assert sorted_names(listing, listing.query) == ["Car 196", "Car 99"]
    assert len(listing.images) == 8
    assert "8,054 in 98" in listing.notes[0] and "8,131 in 98" in listing.notes[1]


def test_sop_is_read_from_its_lists(tmp_path):
    listing = sop(layouts.sop(tmp_path))
    assert sorted_names(listing, listing.train) == ["1", "2", "3"]
    assert sorted_names(listing, listing.query) == ["11319", "11320"]
    assert "59,551 in 11,318" in listing.notes[0]


def test_in_shop_has_query_and_gallery(tmp_path):
    listing = in_shop(layouts.in_shop(tmp_path))
    assert [len(rows) for rows in listing[4:7]] == [6, 3, 3]
    assert listing.images[listing.gallery[0]].name.endswith("01_front.jpg")
    assert "12,612 in 3,985" in listing.notes[2]
    assert "1 of 3 training classes have a single image" in listing.notes[3]


LISTS = {
    "cub": ["images.txt", "image_class_labels.txt"],
    "sop": ["Ebay_train.txt", "Ebay_test.txt"],
    "in-shop": ["Eval/list_eval_partition.txt"],
}
EDITS = {
    "mark": lambda text: b"\xef\xbb\xbf" + text.encode(),
    "crlf": lambda text: text.replace("\n", "\r\n").encode(),
    "tabs": lambda text: text.replace(" ", "\t").encode("utf-16"),
    "blanks": lambda text: ("\n" + text.replace("\n", " \t\n \n")).encode(),
}


@pytest.mark.parametrize("case", LISTS)
def test_lists_of_images_are_read_as_any_editor_saves_them(case, tmp_path):
    write, reader = CASES[case]
    root = write(tmp_path / "x")
    expected = reader(root)
    for name in LISTS[case]:
        text = (root / name).read_text()
        for edit in EDITS.values():
            (root / name).write_bytes(edit(text))
            listing = reader(root)
            assert listing.class_names == expected.class_names
            for array, other in zip(listing[1:7], expected[1:7], strict=True):
                assert np.array_equal(array, other)


def move(root, *moves):
    for old, new in moves:
        (root / new).parent.mkdir(parents=True, exist_ok=True)
        (root / old).rename(root / new)


HALVES = [(f"cars_{s}", f"cars_{s}/cars_{s}") for s in ("train", "test")]
LABELLED = "cars_test_annos_withlabels.mat"


@pytest.mark.parametrize(
    ("case", "moves"),
    [
        ("cub", [("images", "pictures/images")]),
        ("in-shop", [("img", "Img/img")]),
        ("in-shop", [("img", "Img/img_highres"), ("Eval", "Anno")]),
        ("sop", [("bicycle_final", "images/bicycle_final")]),
        ("cars", [("car_ims", "car_ims/car_ims")]),
        ("cars", [("car_ims", "images")]),
        ("cars", [("cars_annos.mat", "devkit/cars_annos.mat")]),
        ("cars devkit", HALVES),
        ("cars devkit", [*HALVES, ("devkit", "car_devkit/devkit")]),
        ("cars devkit", [(LABELLED, "cars_test_annos_withlabels (1).mat")]),
        ("cars devkit", [(LABELLED, f"devkit/{LABELLED}")]),
    ],
)
def test_data_sets_are_read_however_they_are_unpacked(case, moves, tmp_path):
    """Unpacked in other places, and one or two folders further down."""
    write, reader = CASES[case]
    (root := tmp_path / "x" / "archive").mkdir(parents=True)
    expected = reader(write(root))
    read = [image.read() for image in expected.images]
    for old, new in moves:
        move(root, (old, "aside"), ("aside", new))
    for place in (root, root.parent, tmp_path):
        listing = reader(place)
        assert [image.read() for image in listing.images] == read
        assert listing.labels.tolist() == expected.labels.tolist()


def test_cars_is_read_in_the_layout_whose_images_are_there(tmp_path):
    root = layouts.cars_ims(layouts.cars_devkit(tmp_path / "x"))
    assert all("/car_ims/" in image.name for image in cars196(root).images)
    move(root, ("car_ims", "../gone"))
    names = [image.name for image in cars196(root).images]
    assert all("/cars_train/" in name or "/cars_test/" in name for name in names)


@pytest.mark.parametrize(
    ("case", "gone", "words"),
    [
        ("cub", "images", ["'001.Bird/Bird_0000.jpg', which images.txt lists"]),
        ("sop", "bicycle_final", ["which Ebay_train.txt lists", "twelve folders"]),
        ("in-shop", "img", ["which list_eval_partition.txt lists", "from img.zip"]),
        ("cars", "car_ims", ["no image that cars_annos.mat lists, nor cars_train_an"]),
        ("cars devkit", "cars_test", ["'cars_test/", f"which {LABELLED} lists"]),
        ("cars devkit", LABELLED, [f"has no {LABELLED}, up to 4 folders down"]),
        ("cars devkit", "devkit", ["has no cars_train_annos.mat and cars_meta.mat"]),
    ],
)
def test_a_layout_that_is_none_names_those_that_are(case, gone, words, tmp_path):
    write, reader = CASES[case]
    (root := tmp_path / "x").mkdir()
    write(root)
    move(root, (gone, "../gone"))
    with pytest.raises(UserError) as caught:
        reader(root)
    message = str(caught.value)
    assert "\n" not in message and "; it holds '" in message
    for word in ["`root`: ", "pass a folder with ", *words]:
        assert word in message
    if case.startswith("cars"):
        assert "car_ims and cars_annos.mat; or with cars_train, cars_test" in message


def test_a_part_of_a_data_set_or_two_of_a_kind_are_refused(tmp_path):
    layouts.cub200(tmp_path / "one")
    with pytest.raises(UserError, match=r"one/images' is a part .* pass '.*/one'"):
        cub200(tmp_path / "one" / "images")
    layouts.cub200(tmp_path / "two")
    assert len(cub200(tmp_path).images) == 18  # equal lists: either will do
    spoil(tmp_path / "two" / "images.txt", "1 001", "01 001")
    with pytest.raises(UserError, match=r"several images\.txt, in '.*one', '.*two'"):
        cub200(tmp_path)


def test_all_problems_of_lists_are_one_error(tmp_path):
    layouts.sop(tmp_path)
    (tmp_path / "Ebay_test.txt").unlink()
    with (tmp_path / "Ebay_train.txt").open("a") as file:
        file.write("1 2 3\n" * 8 + "1 1 1 ../x.jpg\n" * 5)
    with pytest.raises(UserError) as caught:
        sop(tmp_path)
    message = str(caught.value)
    assert message.startswith("`root`: 14 problems: cannot read '")
    assert "line 11: '1 2 3' is not a number, a number" in message
    assert "line 19: '../x.jpg' leaves" in message and "line 20" not in message
    assert "; and 4 more; " in message


def spoil(path, old, new):
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new, 1))


@pytest.mark.parametrize(
    ("case", "file", "change", "words"),
    [
        ("cub", "images.txt", None, ["has no images.txt", "CUB_200_2011.tgz"]),
        ("cub", "image_class_labels.txt", None, ["image_class_labels.txt", "No such"]),
        ("cub", "images.txt", ("3 001", "x 001"), ["images.txt', line 3", "'x 001"]),
        ("cub", "images.txt", ("3 001.Bird/", "3 /"), ["line 3", "leaves the data"]),
        ("cub", "images.txt", ("3 001.Bird/", "3 ../"), ["line 3", "leaves the data"]),
        ("cub", "image_class_labels.txt", ("4 2", "99 2"), ["line 4", "no class in"]),
        ("sop", "Ebay_test.txt", None, ["Ebay_test.txt", "No such file"]),
        ("sop", "Ebay_train.txt", ("3 1 1", "3 1"), ["Ebay_train.txt', line 4"]),
        (
            "in-shop",
            "Eval/list_eval_partition.txt",
            ("gallery", "galery"),
            ["line 10", "'galery' is not train, query or gallery"],
        ),
        ("cars", "cars_annos.mat", None, ["has no cars_train_annos.mat"]),
        ("csv", "table.csv", None, ["cannot read", "table.csv", "No such file"]),
        ("csv", "table.csv", ("label,", "class,"), ["line 1", "no column label"]),
        ("csv", "table.csv", (",test", ",tests"), ["line 8", "'tests' is not train"]),
        ("csv", "table.csv", ("pictures/a1", "../a1"), ["line 3", "leaves the data"]),
        ("csv", "table.csv", ("a,", ","), ["line 2", "path or label is empty"]),
    ],
)
def test_a_broken_list_of_images_is_named(tmp_path, case, file, change, words):
    write, read = CASES[case]
    root = write(tmp_path)
    if change is None:
        (tmp_path / file).unlink()
    else:
        spoil(tmp_path / file, *change)
    with pytest.raises(UserError) as caught:
        read(root)
    message = str(caught.value)
    argument = "path" if case == "csv" else "root"
    assert message.startswith(f"`{argument}`: ") and "\n" not in message
    for word in words:
        assert word in message


@pytest.mark.parametrize(
    "content", [b"", b"no MATLAB file at all", b"MATLAB 5.0 " * 40]
)
def test_a_broken_mat_file_is_named(tmp_path, content):
    layouts.cars_ims(tmp_path)
    (tmp_path / "cars_annos.mat").write_bytes(content)
    with pytest.raises(UserError, match=r"cannot read '.*cars_annos\.mat'"):
        cars196(tmp_path)


def test_a_table_with_a_byte_order_mark(tmp_path):
    path = layouts.table(tmp_path)
    path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes())
    assert len(table(path).images) == 12


def test_a_split_without_images_is_named(tmp_path):
    path = layouts.table(tmp_path)
    path.write_text(path.read_text().replace(",test", ",train"))
    with pytest.raises(UserError, match=r"has the splits train: there is no test;"):
        table(path)
