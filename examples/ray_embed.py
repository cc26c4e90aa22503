"""Embeds a folder of images on a Ray cluster, as `jml embed --shard` does without Ray.

    python examples/ray_embed.py runs/NAME pictures pictures.parquet --workers 2

Needs Ray Data: pip install "jax-metric-learning[train,ray,parquet]". All machines see
the run, the pictures and the result by the same paths. Each worker embeds whole parts
of the collection. Ray hands them out, and does those again whose worker died; parts
that are there already are left out. `read_embeddings` and the commands take the folder.
"""

import argparse
from pathlib import Path

import numpy as np
import ray

import jml


class Worker:
    """A process with a network of its own, on all devices that Ray lets it see."""

    def __init__(self, run, parts, paths):
        """Loads the network once; the pictures come part by part."""
        self.model, self.parts, self.paths = jml.load(run), parts, paths

    def __call__(self, batch):
        """Embeds and writes the parts of these numbers."""
        for number in batch["part"]:
            part = self.parts.parts()[number]
            rows, unreadable = part.rows(), {}
            batches = self.model.embed_batches(
                [self.paths[row] for row in rows],
                on_bad=lambda i, error, rows=rows, bad=unreadable: bad.update(
                    {rows[i]: error.reason}
                ),
            )
            none = np.empty((0, self.model.dim), np.float32)
            vectors = np.concatenate([none, *(vectors for _, vectors in batches)])
            self.parts.write(part, vectors, unreadable)
        return batch


def main():
    """Lists the pictures, and hands the missing parts to the workers."""
    parser = argparse.ArgumentParser()
    parser.add_argument("run", type=Path)
    parser.add_argument("pictures", type=Path)
    parser.add_argument("out", type=Path, help="X.parquet, a folder")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--part_size", type=int, default=1024)
    options = parser.parse_args()
    run = options.run.resolve()
    files = jml.data.image_files(options.pictures.resolve())
    parts = jml.inference.EmbeddingParts(
        options.out.resolve(),
        files.paths,
        files.labels,
        jml.load(run).model,
        shards=1,
        size=options.part_size,
    )
    missing = [{"part": part.number} for part in parts.begin()]
    if missing:
        # Ray needs a CPU beside those of the workers, or they wait for ever.
        ray.init(num_cpus=options.workers + 1, ignore_reinit_error=True)
        numbers = ray.data.from_items(missing, override_num_blocks=len(missing))
        numbers.map_batches(
            Worker,
            fn_constructor_args=(run, parts, files.paths),
            batch_size=1,
            compute=ray.data.ActorPoolStrategy(size=options.workers),
            num_cpus=1,
        ).materialize()
    print(f"{parts.finish():,} embeddings in {options.out}")


if __name__ == "__main__":
    main()
