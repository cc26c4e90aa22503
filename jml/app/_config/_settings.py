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
        "train the proxies of proxy_nca, or leave them as initialised",
        choices=("trained", "fixed"),
    )

    optimizer: str = flags.train("adam", "how weights are updated", choices=OPTIMIZERS)
    lr: float = flags.train(None, "learning rate", above=0)
    head_lr: float | None = flags.train(
        None, "the same for the last layer; default: --lr", above=0
    )
    proxies_lr: float | None = flags.train(None, "the same for the proxies", above=0)
    schedule: str = flags.train(
        "step",
        "how rates fall: step: by --decay_gamma every --decay_iter_step; cosine: to 0"
        " at --maxiter",
        choices=SCHEDULES,
    )
    warmup: int = flags.train(0, "steps in which rates rise from 0", **flags.natural)
    weight_decay: float = flags.train(
        0.0,
        "pull of weights towards 0: beside the gradient for adamw, lamb and lion,"
        " within it for the others",
        minimum=0,
    )
    momentum: float = flags.train(0.9, "of sgd and rmsprop", minimum=0, below=1)
    clip_norm: float | None = flags.train(
        None, "longest a gradient may be; a longer one is scaled down", above=0
    )
    ema: float | None = flags.train(
        None,
        "decay of a moving average of the weights, which is what is then evaluated and"
        " kept; 0.999, say",
        above=0,
        below=1,
    )
    freeze: str | None = flags.train(
        None,
        "layers whose weights stay as they start: conv1,layer1,layer2.0, say; the"
        " statistics of BatchNorm move all the same, unless --freeze_bn",
    )
    precision: str = flags.train(
        "float32",
        "of the convolutions in training; parameters and losses are float32",
        choices=("float32", "bfloat16"),
    )
    microbatch: int | None = flags.train(
        None,
        "images whose activations are in memory at once; the gradient stays that of"
        " --batch_size",
        **flags.count,
    )
    maxiter: int = flags.train(None, "number of training steps", **flags.count)
    decay_iter_step: int = flags.train(
        None, "steps between decays of --lr", **flags.count
    )
    decay_gamma: float = flags.train(0.1, "factor of one decay", above=0, maximum=1)
    eval_interval: int = flags.train(
        None, "steps between evaluations, and checkpoints", **flags.count, **flags.free
    )
    on_nan: str = flags.train(
        "stop",
        "what to do about a loss or gradient that is not finite: stop, or skip the step"
        " and count it",
        choices=("stop", "skip"),
        **flags.free,
    )
    seed: int = flags.train(0, "seed of all randomness", **flags.natural)

    checkpoints_path: str = flags.run("runs", "folder that holds the run folders")
    name: str | None = flags.run(
        None, "name of the run folder; default: a new one made of loss and time"
    )
    overwrite: bool = flags.run(False, "replace an earlier run of the same --name")
    resume: bool = flags.run(
        False,
        "go on with the run of this --name, or without one with the last of this data"
        " set and loss; a new run if there is none",
    )
    keep_checkpoints: int = flags.run(
        2,
        "checkpoints to keep, the last ones; and that of the best Recall@1",
        **flags.count,
    )
    wandb: str | None = flags.run(None, "project of Weights & Biases to log to as well")
    coordinator: str | None = flags.run(
        None,
        "HOST:PORT of process 0, where several processes train together; auto: ask the"
        " cluster (SLURM, TPU, Open MPI)",
    )
    processes: int | None = flags.run(
        None, "how many processes there are", **flags.count
    )
    process: int | None = flags.run(None, "which one this is, from 0", minimum=0)
    join_timeout: int = flags.run(
        300, "seconds to wait for the other processes", minimum=1, maximum=10**6
    )
    cuda: bool | None = flags.run(
        None, "true: a GPU or fail; false: CPU; default: if any"
    )
