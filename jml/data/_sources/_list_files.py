"""The field's data sets that come with list files: CUB-200-2011, SOP, In-Shop."""

import os
from pathlib import PurePosixPath

import numpy as np

from jml._value_checks import check_path
from jml.data._messages import quote
from jml.data._types import Listing

from ._listed_images import Line, open_images, read_list
from ._listing import make_listing
from ._problems import Problem, Problems
from ._search import find_list

ADVICE = "fix that, or unpack the data set anew"


def cub200(root: str | os.PathLike) -> Listing:
    """Lists Caltech-UCSD Birds 200-2011: classes 1 to 100 to train on, others to test.

    Args:
        root: the folder CUB_200_2011, or one that holds it.

    Returns:
        The listing; every test image is searched for among the others.

    Raises:
        UserError: a list is missing, or has lines that do not parse; names them.

    References:
        Wah et al.: The Caltech-UCSD Birds-200-2011 Dataset, 2011
    """
    root = check_path("cub200", "root", root)
    layout = "images.txt, image_class_labels.txt and images, from CUB_200_2011.tgz"
    images_file = find_list(root, "images.txt", layout)
    labels_file = images_file.with_name("image_class_labels.txt")
    problems = Problems(ADVICE)
    label_of = {k: c for _, (k, c) in read_list(labels_file, (int, int), problems)}
    lines, classes, names = [], [], {}
    for number, (key, path) in read_list(images_file, (int, str), problems):
        with problems.at(images_file, number):
            if label_of and key not in label_of:
                raise Problem(f"image {key} has no class in {labels_file.name}")
            lines.append(Line(images_file, number, path))
            classes.append(label_of.get(key, 0))
            names[classes[-1]] = PurePosixPath(path.replace("\\", "/")).parent.name
    images = open_images(root, lines, problems, layout)
    train = np.asarray(classes) <= 100
    return make_listing(
        "CUB-200-2011",
        images,
        classes,
        train=train,
        query=~train,
        class_name=names.__getitem__,
        expected={"train": (100, 5864), "query": (100, 5924)},
    )


def sop(root: str | os.PathLike) -> Listing:
    """Lists Stanford Online Products, split by Ebay_train.txt and Ebay_test.txt.

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
    root = check_path("sop", "root", root)
    layout = "Ebay_train.txt, Ebay_test.txt and twelve folders such as bicycle_final"
    train_file = find_list(root, "Ebay_train.txt", layout)
    problems = Problems(ADVICE)
    lines, classes, train = [], [], []
    for file in (train_file, train_file.with_name("Ebay_test.txt")):
        columns = (int, int, int, str)
        for number, row in read_list(file, columns, problems, header=1):
            _, label, _, path = row
            lines.append(Line(file, number, path))
            classes.append(label)
            train.append(file == train_file)
    images = open_images(root, lines, problems, layout)
    train = np.asarray(train, bool)
    return make_listing(
        "SOP",
        images,
        classes,
        train=train,
        query=~train,
        expected={"train": (11318, 59551), "query": (11316, 60502)},
    )


def in_shop(root: str | os.PathLike) -> Listing:
    """Lists In-shop Clothes Retrieval: queries are searched for in a gallery.

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
    root = check_path("in_shop", "root", root)
    layout = "Eval/list_eval_partition.txt and img, from img.zip"
    file = find_list(root, "list_eval_partition.txt", layout)
    problems = Problems(ADVICE)
    lines, classes, roles = [], [], []
    for number, row in read_list(file, (str, str, _role), problems, header=2):
        path, item, role = row
        lines.append(Line(file, number, path))
        classes.append(item)
        roles.append(role)
    images = open_images(root, lines, problems, layout, prefixed=True)
    role = np.array(roles, str)
    return make_listing(
        "In-Shop",
        images,
        classes,
        train=role == "train",
        query=role == "query",
        gallery=role == "gallery",
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
