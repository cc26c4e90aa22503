"""The field's data sets that come with list files."""

import os
from pathlib import Path, PurePosixPath

import numpy as np

from jml.data._types import Listing
from jml.errors import UserError

from ._found import find_file, layout_error, open_pictures
from ._listing import make_listing, read_list
from ._problems import Problem, Problems, quote

ADVICE = "mend that, or unpack the data set anew"


def cub200(root: str | os.PathLike) -> Listing:
    """Caltech-UCSD Birds 200-2011: classes 1 to 100 for training, the others to test.

    Args:
        root: the folder CUB_200_2011, or one that holds it.

    Returns:
        The listing; every test image is searched for among the others.

    Raises:
        UserError: a list is missing, or has lines that do not parse; names them.

    References:
        Wah et al.: The Caltech-UCSD Birds-200-2011 Dataset, 2011
    """
    known = "images.txt, image_class_labels.txt and images, from CUB_200_2011.tgz"
    images_file = _list_file(root, "images.txt", known)
    labels_file = images_file.with_name("image_class_labels.txt")
    problems = Problems(ADVICE)
    label_of = {k: c for _, (k, c) in read_list(labels_file, (int, int), problems)}
    lines, classes, names = [], [], {}
    for number, (key, relative) in read_list(images_file, (int, str), problems):
        with problems.at(images_file, number):
            if label_of and key not in label_of:
                raise Problem(f"image {key} has no class in {labels_file.name}")
            lines.append((images_file, number, relative))
            classes.append(label_of.get(key, 0))
            names[classes[-1]] = PurePosixPath(relative.replace("\\", "/")).parent.name
    pictures = open_pictures(root, lines, problems, known)
    train = np.asarray(classes) <= 100
    return make_listing(
        "CUB-200-2011",
        pictures,
        classes,
        train=train,
        query=~train,
        class_name=names.__getitem__,
        expected={"train": (100, 5864), "query": (100, 5924)},
    )


def sop(root: str | os.PathLike) -> Listing:
    """Stanford Online Products: the split of Ebay_train.txt and Ebay_test.txt.

    Args:
        root: the folder Stanford_Online_Products, or one that holds it.

    Returns:
        The listing; every test image is searched for among the others.

    Raises:
        UserError: a list is missing, or has lines that do not parse; names them.

    References:
        Oh Song et al.: Deep Metric Learning via Lifted Structured Feature Embedding,
        2016, https://arxiv.org/abs/1511.06452
    """
    known = "Ebay_train.txt, Ebay_test.txt and twelve folders such as bicycle_final"
    trained = _list_file(root, "Ebay_train.txt", known)
    problems = Problems(ADVICE)
    lines, classes, train = [], [], []
    for path in (trained, trained.with_name("Ebay_test.txt")):
        columns = (int, int, int, str)
        for number, row in read_list(path, columns, problems, header=1):
            _, label, _, relative = row
            lines.append((path, number, relative))
            classes.append(label)
            train.append(path == trained)
    pictures = open_pictures(root, lines, problems, known)
    train = np.asarray(train, bool)
    return make_listing(
        "SOP",
        pictures,
        classes,
        train=train,
        query=~train,
        expected={"train": (11318, 59551), "query": (11316, 60502)},
    )


def in_shop(root: str | os.PathLike) -> Listing:
    """In-shop Clothes Retrieval: queries are searched for in a gallery.

    Args:
        root: the folder with Eval/list_eval_partition.txt and img, or Img/img; or one
            that holds it.

    Returns:
        The listing.

    Raises:
        UserError: the list is missing, or has lines that do not parse; names them.

    References:
        Liu et al.: DeepFashion: Powering Robust Clothes Recognition and Retrieval with
        Rich Annotations, 2016
    """
    known = "Eval/list_eval_partition.txt and img, from img.zip"
    path = _list_file(root, "list_eval_partition.txt", known)
    problems = Problems(ADVICE)
    lines, classes, roles = [], [], []
    for number, row in read_list(path, (str, str, _role), problems, header=2):
        relative, item, role = row
        lines.append((path, number, relative))
        classes.append(item)
        roles.append(role)
    pictures = open_pictures(root, lines, problems, known, prefixed=True)
    train, query, gallery = (
        np.array([role == name for role in roles], bool)
        for name in ("train", "query", "gallery")
    )
    return make_listing(
        "In-Shop",
        pictures,
        classes,
        train=train,
        query=query,
        gallery=gallery,
        expected={
            "train": (3997, 25882),
            "query": (3985, 14218),
            "gallery": (3985, 12612),
        },
    )


def _role(word: str) -> str:
    if word not in ("train", "query", "gallery"):
        raise Problem(f"{quote(word)} is not train, query or gallery")
    return word


def _list_file(root: str | os.PathLike, name: str, known: str) -> Path:
    root = Path(root)
    path = find_file(root, name)
    if path is not None:
        return path
    above = root.absolute().parent
    if root.is_dir() and any(os.path.isfile(above / p / name) for p in (".", "Eval")):
        raise UserError(
            f"--dataroot: {str(root)!r} is a part of the data set; pass {str(above)!r}."
        )
    raise layout_error(root, name, known)
