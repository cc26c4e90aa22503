"""The table of losses: what is known of each, in one row.

The flags and defaults of the command, the objective, the diagnostics, the contract
tests and the benchmarks read it. A new loss is one file in ``jml/losses``, exported
there, one row in ``_pairs`` or ``_others``, and one definition in the tests. What a row
may have stands in ``_columns``; what several rows share, such as a flag, in
``_options``.

Only the standard library is imported, so that the command can read its flags before JAX
is loaded: ``jml.losses._objective`` looks the functions up.
"""

from ._columns import CONVENTION as CONVENTION
from ._columns import Choice as Choice
from ._columns import Hyperparameter as Hyperparameter
from ._columns import LossSpec as LossSpec
from ._columns import row as row
from ._options import DENOMINATOR as DENOMINATOR
from ._options import DISTANCE as DISTANCE
from ._options import MINING as MINING
from ._options import POSITIVES as POSITIVES
from ._table import SPECS as SPECS
from ._table import variants as variants

__all__ = [
    "CONVENTION",
    "DENOMINATOR",
    "DISTANCE",
    "MINING",
    "POSITIVES",
    "SPECS",
    "Choice",
    "Hyperparameter",
    "LossSpec",
    "row",
    "variants",
]
