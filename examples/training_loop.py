"""`jml.training` trains a network of your own: its loop, checkpoints and resume.

It writes to runs/own. Run it again, and it goes on from its last checkpoint; with a
larger STEPS it trains on. This example needs nothing but JML without extras.
"""

import numpy as np
import optax
from flax import nnx

from jml import losses
from jml.training import Checkpoints, fit, init_state, make_step

STEPS = 100

rngs = nnx.Rngs(0)
network = nnx.Sequential(
    nnx.Linear(16, 64, rngs=rngs), nnx.relu, nnx.Linear(64, 8, rngs=rngs)
)
graphdef, params = nnx.split(network, nnx.Param)


def loss_of(params, batch_stats, batch, key, hyper):
    """The loss of a batch; beside it new BatchNorm statistics and numbers to log."""
    inputs, labels = batch
    embeddings = nnx.merge(graphdef, params)(inputs)
    return losses.triplet_loss(embeddings, labels, margin=0.5), (batch_stats, {})


def batch(step):
    """Eight classes, four items of each: a function of the step, or an iterator."""
    rng = np.random.default_rng([0, step])
    labels = np.arange(32) // 4
    inputs = np.eye(8, 16)[labels] + rng.normal(size=(32, 16)) / 2
    return inputs.astype(np.float32), labels


def log(record):
    """Called with what was measured of each logged step."""
    print("loss", record["loss"])


optimizer = optax.adamw(3e-3)
step = make_step(loss_of, optimizer)
checkpoints = Checkpoints("runs/own", keep=2)
state = checkpoints.restore(init_state(nnx.to_pure_dict(params), {}, optimizer))
fit(step, state, batch, steps=STEPS, every=20, checkpoints=checkpoints, log=log)
