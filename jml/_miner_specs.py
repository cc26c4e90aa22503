"""The table of miners: what the command knows of each, in one row.

A miner is made by the function of its name in `jml.miners`. Only the standard library
is imported here, so that the command can read its flags before JAX is loaded.
"""

from dataclasses import dataclass
from typing import Any

from jml._loss_specs import Choice, Hyperparameter


@dataclass(frozen=True, kw_only=True)
class MinerSpec:
    """One row of the table of miners.

    Numbers and choices are arguments of its function, and flags of the command, after
    "miner_".
    """

    numbers: tuple[Hyperparameter, ...] = ()
    choices: tuple[Choice, ...] = ()
    random: bool = False  # the first argument of its function is a key

    def command_defaults(self) -> dict[str, Any]:
        """What a flag that was not given means with this miner, by the flag's name."""
        options = (*self.numbers, *self.choices)
        return {f"miner_{option.name}": option.default for option in options}


_EASY_TO_HARD = ("easy", "semihard", "hard", "all")

MINERS: dict[str, MinerSpec] = {
    "multi_similarity": MinerSpec(
        numbers=(
            Hyperparameter(
                "epsilon",
                "how far a pair's similarity may be on the right side of the hardest of"
                " the other kind",
                0.1,
            ),
        )
    ),
    "batch_hard": MinerSpec(),
    "easy_hard": MinerSpec(
        choices=(
            Choice(
                name="positives",
                text="which positive of each anchor is kept",
                choices=_EASY_TO_HARD,
                default="easy",
            ),
            Choice(
                name="negatives",
                text="which negative of each anchor is kept",
                choices=_EASY_TO_HARD,
                default="semihard",
            ),
        )
    ),
    "pair_margin": MinerSpec(
        numbers=(
            Hyperparameter(
                "pos_margin", "distance beyond which positive pairs are kept", 0.2
            ),
            Hyperparameter(
                "neg_margin", "distance below which negative pairs are kept", 0.8
            ),
        )
    ),
    "triplet_margin": MinerSpec(
        numbers=(Hyperparameter("margin", "margin that tells triplets apart", 0.2),),
        choices=(
            Choice(
                name="kind",
                text="triplets that are kept: hard ones, semihard ones within the"
                " margin, both, or easy ones beyond it",
                choices=("all", "hard", "semihard", "easy"),
                default="all",
            ),
        ),
    ),
    "distance_weighted": MinerSpec(
        numbers=(
            Hyperparameter(
                "cutoff",
                "distance as which smaller ones count in the weights",
                0.5,
                above=0,
            ),
            Hyperparameter(
                "nonzero_loss_cutoff",
                "distance beyond which no negative is drawn",
                1.4,
                above=0,
            ),
        ),
        random=True,
    ),
}
