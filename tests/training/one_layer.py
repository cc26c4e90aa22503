"""The parameters and rates of a network of one layer."""

import jax.numpy as jnp
import numpy as np

from jml.app._objective import Hyper
from jml.training import Rates

RATES = Rates(lr=0.1, head_lr=0.1, proxies_lr=0.2, decay_gamma=0.5, decay_iter_step=2)
HYPER = Hyper(RATES, {"margin": 0.5, "scale": 1.0}, ema=0.5)


def make_params(*, proxies=False):
    rng = np.random.default_rng(1)
    kernel = jnp.asarray(rng.normal(size=(3, 2)), jnp.float32)
    backbone = {"bn": {"weight": jnp.ones(3)}}
    params = {"model": {"backbone": backbone, "fc": {"weight": kernel}}}
    if proxies:
        params["proxies"] = jnp.asarray(rng.normal(size=(4, 2)), jnp.float32)
    return params
