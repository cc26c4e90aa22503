"""Memory of a compiled training step in microbatches, beside a small batch's.

python benchmarks/microbatch.py [--arch resnet50 --batch_size 512 --microbatch 32]

Nothing is run: XLA says what temporary memory each compiled step needs. The images
themselves, as uint8, are arguments and count in neither.
"""

import argparse

import jax
import jax.numpy as jnp
from arguments import positive

from jml.app._build import build
from jml.app._config import Config


def temporary_memory(config: Config) -> float:
    """Temporary memory of the compiled step, in GiB."""
    training = build(config, num_classes=100)
    side = round(config.image_size * 8 / 7)
    shape = (config.batch_size, side, side, 3)
    images = jax.ShapeDtypeStruct(shape, jnp.uint8)
    labels = jax.ShapeDtypeStruct(shape[:1], jnp.int32)
    batch = images, labels
    lowered = training.step.lower(training.state, batch, training.key, training.hyper)
    analysis = lowered.compile().memory_analysis()
    return analysis.temp_size_in_bytes / 2**30


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--arch", default="resnet50")
    parser.add_argument("--image_size", type=positive, default=224)
    parser.add_argument("--batch_size", type=positive, default=512)
    parser.add_argument("--microbatch", type=positive, default=32)
    options = parser.parse_args()
    net = {
        "arch": options.arch,
        "image_size": options.image_size,
        "weights": "none",
    }
    small = temporary_memory(Config(**net, batch_size=options.microbatch))
    large = temporary_memory(
        Config(**net, batch_size=options.batch_size, microbatch=options.microbatch)
    )
    print(f"{options.arch}, {options.image_size} px, {jax.devices()[0].device_kind}")
    print(f"  batch {options.microbatch}: {small:.2f} GiB")
    print(
        f"  batch {options.batch_size} in microbatches of {options.microbatch}:"
        f" {large:.2f} GiB, {large / small:.2f} times as much"
    )


if __name__ == "__main__":
    main()
