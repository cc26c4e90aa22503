"""The data sets' layouts in miniature, with real JPEG and .mat files."""

import numpy as np
from PIL import Image
from scipy.io import savemat


def jpeg(path, seed):
    path.parent.mkdir(parents=True, exist_ok=True)
    colour = np.random.default_rng(seed).integers(0, 256, 3)
    image = np.broadcast_to(colour, (12, 16, 3)).astype(np.uint8)
    Image.fromarray(image).save(path, quality=95)


def cub200(root, classes=(1, 2, 100, 101, 102, 200), images=3):
    images_txt, labels_txt = [], []
    for c in classes:
        for i in range(images):
            key = len(images_txt) + 1
            relative = f"{c:03}.Bird/Bird_{i:04}.jpg"
            images_txt.append(f"{key} {relative}")
            labels_txt.append(f"{key} {c}")
            jpeg(root / "images" / relative, key)
    (root / "images.txt").write_text("\n".join(images_txt) + "\n")
    (root / "image_class_labels.txt").write_text("\n".join(labels_txt) + "\n")
    return root


def struct(fields, rows):
    """An array of MATLAB structs."""
    array = np.empty(len(rows), dtype=[(name, object) for name in fields])
    for i, row in enumerate(rows):
        array[i] = row
    return array


NAMES = np.array([f"Car {c}" for c in range(1, 197)], object)
CAR_CLASSES = [1, 1, 98, 98, 99, 99, 196, 196]


def cars_ims(root):
    rows = [(f"car_ims/{i:06}.jpg", c, 0) for i, c in enumerate(CAR_CLASSES)]
    for i, (relative, *_) in enumerate(rows):
        jpeg(root / relative, i)
    fields = ("relative_im_path", "class", "test")
    content = {"annotations": struct(fields, rows), "class_names": NAMES}
    savemat(root / "cars_annos.mat", content)
    return root


def cars_devkit(root):
    (root / "devkit").mkdir(parents=True)
    for split, place in (
        ("train", "devkit/cars_train_annos.mat"),
        ("test", "cars_test_annos_withlabels.mat"),
    ):
        classes = CAR_CLASSES[split == "test" :: 2]
        rows = [(f"{i:05}.jpg", c) for i, c in enumerate(classes)]
        for i, (name, c) in enumerate(rows):
            jpeg(root / f"cars_{split}" / name, 10 * c + i)
        savemat(root / place, {"annotations": struct(("fname", "class"), rows)})
    savemat(root / "devkit" / "cars_meta.mat", {"class_names": NAMES})
    return root


def sop(root):
    key = 0
    for split, classes in (("train", (1, 2, 3)), ("test", (11319, 11320))):
        lines = ["image_id class_id super_class_id path"]
        for c in classes:
            for i in range(3):
                key += 1
                lines.append(f"{key} {c} 1 bicycle_final/{c}_{i}.JPG")
                jpeg(root / f"bicycle_final/{c}_{i}.JPG", key)
        (root / f"Ebay_{split}.txt").write_text("\n".join(lines) + "\n")
    return root


def in_shop(root, trained=(3, 2, 1)):
    lines = []
    train = [("train",) * images for images in trained]
    for c, roles in enumerate([*train, *[("query", "gallery")] * 3]):
        for i, role in enumerate(roles):
            relative = f"img/WOMEN/Dresses/id_{c:08}/{i:02}_front.jpg"
            lines.append(f"{relative}   id_{c:08}   {role}")
            jpeg(root / relative, 10 * c + i)
    (root / "Eval").mkdir()
    head = [str(len(lines)), "image_name item_id evaluation_status"]
    (root / "Eval" / "list_eval_partition.txt").write_text("\n".join(head + lines))
    return root


def table(root):
    lines = ["label,path,split"]
    for c in "abcd":
        for i in range(3):
            lines.append(f"{c},pictures/{c}{i}.jpg,{'train' if c < 'c' else 'test'}")
            jpeg(root / f"pictures/{c}{i}.jpg", ord(c) + i)
    (root / "table.csv").write_text("\n".join(lines) + "\n")
    return root / "table.csv"
