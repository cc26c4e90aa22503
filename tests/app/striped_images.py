"""A folder of classes to train on: striped images, drawn in a moment."""

import numpy as np
from PIL import Image


def draw(root, *, classes, per_class, side=20, seed=0):
    """Stripes: a class is a colour; its background, direction and width vary."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:side, :side] / side
    colours = rng.normal(size=(classes, 3))
    colours /= np.linalg.norm(colours, axis=1, keepdims=True)
    for c in range(classes):
        (root / f"class{c:02}").mkdir(parents=True)
        for i in range(per_class):
            angle = rng.uniform(0, 2 * np.pi)
            across = np.cos(angle) * x + np.sin(angle) * y
            waves = np.sin(2 * np.pi * (rng.uniform(1.5, 3) * across + rng.uniform()))
            image = 128 + 90 * waves[:, :, None] * colours[c]
            image += rng.uniform(-50, 50, size=3) + rng.normal(0, 10, (side, side, 3))
            image = np.clip(image, 0, 255).astype(np.uint8)
            Image.fromarray(image).save(root / f"class{c:02}" / f"{i:03}.png")
