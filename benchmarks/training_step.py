"""Times a ResNet training step against PyTorch's, in one run with the same threads.

    python benchmarks/training_step.py                # ResNet-18, 64 px, batch 64
    python benchmarks/training_step.py --arch resnet50 --size 224 --batch 8
    python benchmarks/training_step.py --arch resnet50 --size 224 --batch 128 --bfloat16

A step is: forward pass, contrastive loss, backward pass, Adam. Both use a GPU where
they see one. PyTorch runs with channels_last, eagerly, or with torch.compile and
autocast if --bfloat16; JAX compiles. The time to the end of the first step is printed
too. On a busy machine PyTorch's threads wait for each other and lose far more than
JAX's: measure on a quiet one, or on one core (taskset -c 0).

Both run with the allocator settings that train_jax.py makes.
"""

import argparse
import time
from collections.abc import Callable

import jax
import numpy as np
import optax
import torch
import torchvision
from arguments import positive
from timing import median_seconds

from jml.losses import contrastive_loss
from jml.models import (
    ARCHITECTURES,
    create,
    embed,
    to_state_dict,
    with_bfloat16_kernels,
)
from jml.training import keep_freed_memory
from torch_ref import ContrastiveLoss

LEARNING_RATE = 1e-4
MARGIN = 0.5


def jax_step(
    model, images: np.ndarray, labels: np.ndarray, *, bfloat16: bool
) -> Callable[[], float]:
    """Compiles the step; each call runs it once and waits for its end."""
    images, labels = jax.device_put((images, labels))
    optimizer = optax.adam(LEARNING_RATE)

    def step(state, images, labels):
        params, stats, opt = state

        def loss_of(params):
            params = with_bfloat16_kernels(params) if bfloat16 else params
            embeddings, new = embed(model.graphdef, params, stats, images, train=True)
            return contrastive_loss(embeddings, labels, margin=MARGIN), new

        (loss, stats), grads = jax.value_and_grad(loss_of, has_aux=True)(params)
        updates, opt = optimizer.update(grads, opt)
        return (optax.apply_updates(params, updates), stats, opt), loss

    state = (model.params, model.batch_stats, optimizer.init(model.params))
    compiled = jax.jit(step, donate_argnums=0)

    def run() -> float:
        nonlocal state
        state, loss = compiled(state, images, labels)
        jax.block_until_ready(state)
        return float(loss)

    return run


def torch_step(
    net: torch.nn.Module, images: np.ndarray, labels: np.ndarray, *, bfloat16: bool
) -> Callable[[], float]:
    """The same step in PyTorch."""
    device = "cuda" if torch.cuda.is_available() else "cpu"
    net = net.to(device, memory_format=torch.channels_last).train()
    x = torch.tensor(images, device=device).permute(0, 3, 1, 2)  # channels last already
    y = torch.tensor(labels, device=device)
    optimizer = torch.optim.Adam(net.parameters(), lr=LEARNING_RATE)
    criterion = ContrastiveLoss(MARGIN)
    forward = torch.compile(net) if bfloat16 else net

    def run() -> float:
        optimizer.zero_grad()
        with torch.autocast(device, torch.bfloat16, enabled=bfloat16):
            embeddings = forward(x)
        loss = criterion(torch.nn.functional.normalize(embeddings.float()), y)
        loss.backward()
        optimizer.step()
        return loss.item()

    return run


def timed(function: Callable) -> tuple[float, object]:
    start = time.perf_counter()
    result = function()
    return time.perf_counter() - start, result


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--arch", choices=ARCHITECTURES, default="resnet18")
    parser.add_argument("--size", type=positive, default=64, help="side of the images")
    parser.add_argument("--batch", type=positive, default=64)
    parser.add_argument("--bfloat16", action="store_true", help="of the convolutions")
    parser.add_argument("--seconds", type=float, default=5, help="of one turn, of 3")
    args = parser.parse_args()
    keep_freed_memory()

    rng = np.random.default_rng(0)
    shape = (args.batch, args.size, args.size, 3)
    images = rng.standard_normal(shape, np.float32)
    labels = (np.arange(args.batch) // 4).astype(np.int32)
    model = create(args.arch, embedding_dim=128, l2norm=True)
    net = torchvision.models.get_model(args.arch)
    net.fc = torch.nn.Linear(net.fc.in_features, 128)
    state = to_state_dict(model.params, model.batch_stats)
    net.load_state_dict({name: torch.tensor(x) for name, x in state.items()})

    data = images, labels
    run_torch = torch_step(net, *data, bfloat16=args.bfloat16)
    run_jax = jax_step(model, *data, bfloat16=args.bfloat16)
    first = [timed(run)[0] for run in (run_jax, run_torch)]
    jax_seconds, torch_seconds = median_seconds([run_jax, run_torch], args.seconds)
    kind = "bfloat16" if args.bfloat16 else "float32"
    print(
        f"{args.arch}, {args.size} px, batch {args.batch}, {kind},"
        f" {jax.devices()[0].device_kind}, {torch.get_num_threads()} threads:"
        f" JAX {jax_seconds * 1e3:.0f} ms, PyTorch {torch_seconds * 1e3:.0f} ms, ratio"
        f" {jax_seconds / torch_seconds:.2f}; images/s"
        f" {args.batch / jax_seconds:.0f} and {args.batch / torch_seconds:.0f};"
        f" first step {first[0]:.1f} s and {first[1]:.1f} s"
    )


if __name__ == "__main__":
    main()
