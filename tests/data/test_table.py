"""Tables as spreadsheets and scripts write them."""

import numpy as np
import pytest

from jml.data import table
from jml.errors import UserError

ROWS = [
    (f"p/{c}/{i}.jpg", c, "train" if c < "c" else "test")
    for c in "abcd"
    for i in range(2)
]


def write(
    root, rows=ROWS, *, head=("path", "label", "split"), by=",", encoding="utf-8"
):
    root.mkdir(exist_ok=True)
    lines = [by.join(cells) for cells in (head, *rows)]
    (root / "t.csv").write_text("\n".join(lines) + "\n", encoding=encoding)
    return root / "t.csv"


def change(path, edit):
    path.write_bytes(edit(path.read_text()).encode())
    return path


def error(path):
    with pytest.raises(UserError) as caught:
        table(path)
    message = str(caught.value)
    assert message.startswith("`path`: ") and "\n" not in message
    return message


def read(path):
    """The rows again, as they are understood."""
    listing = table(path)
    role = np.full(len(listing.images), "test ")
    role[listing.train] = "train"
    return [
        (image.name, listing.class_names[label], split.strip())
        for image, label, split in zip(
            listing.images, listing.labels, role, strict=True
        )
    ]


@pytest.mark.parametrize(
    ("options", "edit"),
    [
        ({}, None),
        ({"by": ";"}, None),
        ({"by": "\t"}, None),
        ({"by": ";", "head": (" Path", "LABEL ", "sPLIT")}, None),
        ({"encoding": "utf-8-sig"}, None),
        ({"encoding": "utf-16"}, None),
        ({"by": ";"}, lambda text: "sep=;\r\n" + text.replace("\n", "\r\n")),
        ({}, lambda text: text.replace("\n", "\r")),
        ({}, lambda text: "\n \n" + text.replace("\n", " \t\n,,\n\n")),
        ({"head": ('"path"', '"label"', '"split"')}, None),
        ({"head": ("path", "label", "split", "camera;no")}, None),
        ({}, lambda text: text.replace("train", " Train").replace("test", "TEST ")),
    ],
)
def test_tables_are_read_as_any_program_writes_them(tmp_path, options, edit):
    path = write(tmp_path, **options)
    if edit is not None:
        change(path, edit)
    assert read(path) == [(str(tmp_path / place), *rest) for place, *rest in ROWS]


def test_a_path_inside_the_folder_of_a_table_has_any_spelling(tmp_path):
    root = tmp_path / "root"
    (root / "p" / "a").mkdir(parents=True)
    (tmp_path / "link").symlink_to(root)
    (root / "p" / "store").symlink_to(tmp_path)  # what the root holds may lead away
    spellings = ["p/a/x.jpg", "./p//a/x.jpg", "p/../p/a/x.jpg", "p\\a\\x.jpg"]
    spellings += [f"{start}/p/a/x.jpg" for start in (root, f"/{root}", f"/.{root}")]
    spellings += [f"{tmp_path}/link/p/a/x.jpg", f"{root}/../link/p/./a/x.jpg"]
    for start in (root, tmp_path / "link"):
        rows = [(place, str(n // 2), "train") for n, place in enumerate(spellings)]
        rows += [(f"{root}/p/store/y.jpg", c, "test") for c in "xxyy"]
        path = write(root, rows)
        names = [name for name, *_ in read(start / path.name)]
        assert names[:-4] == [f"{start}/p/a/x.jpg"] * len(spellings)
        assert names[-4:] == [f"{start}/p/store/y.jpg"] * 4


def test_a_path_outside_the_folder_of_a_table_is_refused(tmp_path):
    root = tmp_path / "root"
    (tmp_path / "elsewhere" / "deep").mkdir(parents=True)
    root.mkdir()
    (root / "out").symlink_to(tmp_path / "elsewhere" / "deep")
    outside = ["../x.jpg", "/etc/passwd", f"{root}2/x.jpg", f"{root}/../x.jpg"]
    outside += ["p/../../x.jpg", "out/../x.jpg", "..", "/", str(root), "a\0b"]
    rows = [(place, "a", "train") for place in outside]
    message = error(write(root, rows + ROWS))
    assert message.startswith(f"`path`: {len(outside)} problems: ")
    for number in range(2, len(outside) + 2):
        assert f"line {number}: " in message
    assert message.count("leaves the data root") == len(outside) - 1


def test_all_problems_of_a_table_are_one_error(tmp_path):
    rows = [("p/x.jpg", "a", "tset"), ("", "a", "train"), ("p/x.jpg", "", "test")]
    rows += [("/x.jpg", "a", "test")] * 20
    message = error(write(tmp_path, ROWS + rows))
    assert message.startswith(f"`path`: 23 problems: '{tmp_path}/t.csv', line 10: ")
    assert (
        "split 'tset' is not train, test, val, query or gallery; line 11: " in message
    )
    assert "line 19: '/x.jpg' leaves" in message and "line 20" not in message
    assert "; and 13 more; " in message


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("", "is empty"),
        ("path,label,split\n", "no line of an image: there is no train and no test"),
        ("file;label;split\n", "line 1: there is no column path, only 'file', 'label'"),
        ("path,label,split,Path\n", "line 1: there are two columns path"),
        ("path,label,split\na,b,train\n", "the splits train: there is no test"),
        ("path,label,split\na,b,query\n", "there is no train and no gallery"),
    ],
)
def test_a_file_that_is_no_table_is_one_line(tmp_path, content, words):
    (tmp_path / "t.csv").write_text(content)
    assert words in error(tmp_path / "t.csv")


def test_validation_images_of_a_table_are_left_out_or_used(tmp_path):
    rows = [(f"v{i}.jpg", "v", "Validation") for i in range(2)]
    listing = table(write(tmp_path, ROWS + rows))
    assert len(listing.images) == len(ROWS) and "v" not in listing.class_names
    assert listing.notes == (
        "t: the splits are train, test; val, with 2 images, is left out",
    )
    listing = table(write(tmp_path, ROWS[:4] + rows))
    assert [listing.class_names[c] for c in listing.labels[listing.query]] == ["v", "v"]
    assert listing.notes == ("t: there is no test set: val is tested on",)


def test_classes_of_a_table_with_one_image_are_noted(tmp_path):
    listing = table(write(tmp_path, ROWS[1:-1]))
    assert [len(listing.train), len(listing.query)] == [3, 3]
    assert [note.partition(" have")[0] for note in listing.notes] == [
        "t: 1 of 2 training classes",
        "t: 1 of 2 test classes",
    ]
