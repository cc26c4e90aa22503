"""What trains is built as the flags say."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jml import losses
from jml.app import _build as build_module
from jml.app._build import check_divides
from jml.app._config import Config
from jml.app._embed import make_embed_test
from jml.app._objective import objective_of
from jml.data import Dataset, Split
from jml.errors import UserError
from jml.models import Model
from tests.training.one_layer import HYPER, make_params

pytestmark = pytest.mark.usefixtures("quick_compilation")


def test_a_batch_that_devices_do_not_divide_is_refused():
    config = Config(batch_size=96, microbatch=12)
    check_divides(config, 4)
    with pytest.raises(UserError) as error:
        check_divides(config, 7)
    assert str(error.value) == (
        "--batch_size: 96 images cannot be divided among 7 devices; pass 84 or 112."
    )
    with pytest.raises(UserError, match=r"--microbatch: 12 .* pass 8 or 16\."):
        check_divides(config, 8)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("settings", "function", "arguments"),
    [
        *(
            ({"convention": word}, "contrastive_loss", {"convention": word})
            for word in ("original", "paper")
        ),
        *(
            ({"loss": "triplet", "mining": word}, "triplet_loss", {"mining": word})
            for word in ("hardest", "semi", "all")
        ),
        ({"loss": "proxy_nca"}, "proxy_nca_loss", {}),
    ],
    ids=lambda value: "-".join(value.values()) if isinstance(value, dict) else value,
)
def test_the_objective_is_that_of_the_configuration(settings, function, arguments):
    rng = np.random.default_rng(0)
    embeddings = jnp.asarray(rng.normal(size=(8, 2)), jnp.float32)
    labels, proxies = jnp.arange(8) // 2, None
    hyper = HYPER._replace(loss={"margin": 0.7, "scale": 3.0})
    inputs, arguments = (embeddings, labels), {"margin": 0.7, **arguments}
    if function == "proxy_nca_loss":
        proxies = make_params(proxies=True)["proxies"]
        inputs, arguments = (*inputs, proxies), {"scale": 3.0}
    expected = getattr(losses, function)(*inputs, **arguments)
    assert objective_of(Config(**settings))(embeddings, labels, proxies, hyper) == (
        expected
    )


FLAGS = {
    "optimizer": "lion",
    "schedule": "cosine",
    "clip_norm": 2.5,
    "ema": 0.75,
    "freeze": "fc, bn,",
    "head_lr": 0.125,
    "on_nan": "skip",
    "microbatch": 12,
    "freeze_bn": True,
    "precision": "bfloat16",
    "warmup": 7,
    "weight_decay": 0.0625,
    "momentum": 0.5,
}
# What the functions get of these: by function and argument.
EXPECTED = {
    "label_groups freeze": ("fc", "bn"),
    "label_groups freeze_bn": True,
    "label_groups freeze_proxies": False,
    "make_optimizer optimizer": "lion",
    "make_optimizer schedule": "cosine",
    "make_optimizer clip": True,
    "make_loss microbatch": 12,
    "make_loss bfloat16": True,
    "make_loss freeze_bn": True,
    "make_step skip_nan": True,
}


def test_flags_reach_the_functions_that_they_set(monkeypatch):
    model = Model(None, make_params()["model"], {"mean": jnp.zeros(3)})
    monkeypatch.setattr(build_module, "create", lambda *args, **options: model)
    passed = {}
    for name in ("label_groups", "make_optimizer", "make_loss", "make_step"):
        function = getattr(build_module, name)

        def spy(*args, name=name, function=function, **options):
            passed.update({f"{name} {key}": value for key, value in options.items()})
            return function(*args, **options)

        monkeypatch.setattr(build_module, name, spy)
    training = build_module.build(Config(loss="proxy_nca", **FLAGS), num_classes=3)
    assert {name: passed[name] for name in EXPECTED} == EXPECTED
    assert training.state.average is not None
    rates = training.hyper.rates
    for name in ("clip_norm", "head_lr", "warmup", "weight_decay", "momentum"):
        assert getattr(rates, name) == FLAGS[name]
    assert training.hyper.ema == 0.75
    assert build_module.build(Config(lr=0.5), num_classes=3).hyper.rates.head_lr == 0.5


@pytest.mark.parametrize(("flags", "flip"), [({}, False), ({"dataroot": "x"}, True)])
def test_training_mirrors_photographs_and_not_characters(monkeypatch, flags, flip):
    model = Model(None, make_params()["model"], {"mean": jnp.zeros(3)})
    augments = []
    monkeypatch.setattr(build_module, "create", lambda *args, **options: model)

    def make_loss(*args, augment, **options):
        augments.append(augment)
        return lambda *arguments: None  # nobody calls it

    monkeypatch.setattr(build_module, "make_loss", make_loss)
    build_module.build(Config(image_size=28, **flags), num_classes=3)
    brighter_rightwards = np.arange(32, dtype=np.uint8)[None, None, :, None]
    images = np.broadcast_to(brighter_rightwards, (64, 32, 32, 3))
    views = augments[0](jax.random.key(0), images)
    assert np.any(views[:, 0, 0, 0] > views[:, 0, -1, 0]) == flip


def test_embeddings_that_are_not_finite_name_the_flags_to_change():
    split = Split(np.zeros((2, 28, 28, 3), np.uint8), np.zeros(2, np.int64))
    dataset = Dataset("x", split, split, None, ("a",))
    embed_test = make_embed_test(lambda *_: np.full((2, 3), np.nan), dataset, 2)
    with pytest.raises(UserError, match=r"finite; train with a lower --lr, and .* --w"):
        embed_test(None, None)
