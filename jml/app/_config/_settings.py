"""The fields of ``Config``: how a run trains, and where.

Only the standard library is imported here (see the package docstring).
"""

from dataclasses import dataclass

from jml._loss_specs import CONVENTION

from . import _flags as flags
from ._defaults import OPTIMIZERS, SCHEDULES
from ._model_settings import LossSettings


@dataclass(frozen=True, kw_only=True)
class Settings(LossSettings):
    """One field per flag of ``jml train``; see ``Config``."""

    convention: str = flags.loss(
        CONVENTION.default, CONVENTION.text, choices=CONVENTION.choices
    )
    proxies: str | None = flags.loss(
        None,
        "use of the proxies of a loss: trained, or fixed as initialised",
        choices=("trained", "fixed"),
    )
    centers: int | None = flags.loss(
        None, "number of centers that a class has in the loss's weights", **flags.count
    )
    sample_classes: int | None = flags.loss(
        None,
        "number of classes, drawn anew for each step, with which a batch is compared;"
        " default: all",
        **flags.count,
    )
    shard_classes: bool = flags.loss(
        False, "class weights in equal parts on the devices, instead of all on each"
    )

    reduction: str = flags.loss(
        "mean",
        "what becomes of the terms of the loss: their mean, the mean of those above 0,"
        " or their sum",
        choices=("mean", "nonzero", "sum"),
    )
    learn: str | None = flags.loss(
        None,
        "numbers of the loss that are trained with the network, such as scale,bias; or"
        " none",
    )
    memory: int | None = flags.loss(
        None,
        "number of earlier embeddings with which each batch is compared, too",
        **flags.count,
    )
    memory_warmup: int | None = flags.loss(
        None, "number of first steps, in which --memory stays empty", **flags.natural
    )

    optimizer: str = flags.train(
        "adam", "rule by which weights are updated", choices=OPTIMIZERS
    )
    lr: float = flags.train(None, "learning rate", above=0)
    head_lr: float | None = flags.train(
        None, "learning rate of the last layer; default: --lr", above=0
    )
    loss_lr: float | None = flags.train(
        None,
        "learning rate of the loss's own parameters: its proxies, and what it --learns",
        above=0,
        earlier_name="proxies_lr",
    )
    schedule: str = flags.train(
        "step",
        "course of the learning rates: multiplied by --decay_gamma every"
        " --decay_iter_step steps, a cosine that reaches 0 at --maxiter, or constant",
        choices=SCHEDULES,
    )
    warmup: int = flags.train(
        0,
        "number of first steps, in which the learning rates rise from 0",
        **flags.natural,
    )
    weight_decay: float = flags.train(
        0.0,
        "strength of the pull of all weights towards 0; adamw, lamb and lion apply it"
        " to the weights, the others add it to the gradient",
        minimum=0,
    )
    momentum: float = flags.train(
        0.9, "momentum of the optimizers sgd and rmsprop", minimum=0, below=1
    )
    clip_norm: float | None = flags.train(
        None,
        "largest norm of the gradient; a longer gradient is scaled down to it",
        above=0,
    )
    ema: float | None = flags.train(
        None,
        "decay of a moving average of the weights, such as 0.999; the average is then"
        " evaluated and kept in place of the weights",
        above=0,
        below=1,
    )
    freeze: str | None = flags.train(
        None,
        "layers whose weights are not trained, such as conv1,layer1,layer2.0; their"
        " BatchNorm statistics still move, unless --freeze_bn is on",
    )
    precision: str = flags.train(
        "float32",
        "precision of the convolutions, in training and evaluation; parameters and"
        " losses are always float32",
        choices=("float32", "bfloat16"),
    )
    microbatch: int | None = flags.train(
        None,
        "number of images whose activations are in memory at once; the gradient is"
        " still that of all --batch_size images",
        **flags.count,
    )
    maxiter: int = flags.train(None, "number of training steps", **flags.count)
    decay_iter_step: int = flags.train(
        None, "number of steps between two decays of --lr", **flags.count
    )
    decay_gamma: float = flags.train(
        0.1, "factor on the learning rates at each decay", above=0, maximum=1
    )
    eval_interval: int = flags.train(
        None,
        "number of steps between two evaluations, each with a checkpoint",
        **flags.count,
        **flags.free,
    )
    on_nan: str = flags.train(
        "stop",
        "answer to a loss or a gradient that is not finite: the end of the run, or a"
        " step that is skipped and counted",
        choices=("stop", "skip"),
        **flags.free,
    )
    seed: int = flags.train(0, "seed of all randomness", **flags.natural)

    checkpoints_path: str = flags.run(
        "runs", "folder in which the run folders are made"
    )
    name: str | None = flags.run(
        None, "name of the run folder; default: a new name, of loss and time"
    )
    overwrite: bool = flags.run(
        False, "replacement of an earlier run of the same --name"
    )
    resume: bool = flags.run(
        False,
        "continuation of the run of this --name, or without a --name of the last run"
        " with this data set and loss; a new run if there is none",
    )
    keep_checkpoints: int = flags.run(
        2,
        "number of last checkpoints to keep, beside that of the best Recall@1",
        **flags.count,
    )
    profile: str | None = flags.run(
        None,
        "steps A:B, counted from 1, that JAX's profiler traces into the run folder",
    )
    compile_cache: bool = flags.run(
        True,
        "compiled programs are kept in the user's cache folder, where later runs find"
        " them",
    )
    wandb: str | None = flags.run(
        None, "project of Weights & Biases that gets the logs, too"
    )
    coordinator: str | None = flags.run(
        None,
        "address HOST:PORT of process 0, where several processes train together; auto:"
        " the address that SLURM, Open MPI or the TPU provides",
    )
    processes: int | None = flags.run(
        None, "number of processes that train together", **flags.count
    )
    process: int | None = flags.run(
        None, "number of this process among them, from 0", minimum=0
    )
    join_timeout: int = flags.run(
        300,
        "number of seconds to wait for the other processes",
        minimum=1,
        maximum=10**6,
    )
    cuda: bool | None = flags.run(
        None,
        "device: true for a GPU, without which the run fails; false for the CPU;"
        " default: a GPU if there is one",
    )
