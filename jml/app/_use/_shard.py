"""Which share of the images a machine embeds: --shard I/N, or the number of its job."""

import re
from collections.abc import Mapping
from typing import NamedTuple

from jml._names import quoted
from jml.errors import UserError


class Shard(NamedTuple):
    """One of several shares, counted from 0."""

    number: int
    of: int


class Array(NamedTuple):
    """The variables by which a scheduler numbers the jobs of an array."""

    scheduler: str
    job: str
    first: str | int = 0  # a number: where its arrays begin unless one says otherwise
    last: str = ""  # "": it does not say
    step: str = ""
    jobs: str = ""
    base: int = 0  # the first index where the number of shards is passed


ARRAYS = (
    Array(
        "Slurm",
        "SLURM_ARRAY_TASK_ID",
        "SLURM_ARRAY_TASK_MIN",
        "SLURM_ARRAY_TASK_MAX",
        "SLURM_ARRAY_TASK_STEP",
        "SLURM_ARRAY_TASK_COUNT",
    ),
    Array(
        "Grid Engine",
        "SGE_TASK_ID",
        "SGE_TASK_FIRST",
        "SGE_TASK_LAST",
        "SGE_TASK_STEPSIZE",
        base=1,
    ),
    Array("LSF", "LSB_JOBINDEX", 1, "LSB_JOBINDEX_END", "LSB_JOBINDEX_STEP", base=1),
    Array("PBS", "PBS_ARRAY_INDEX"),
    Array("Torque", "PBS_ARRAYID"),
    Array("AWS Batch", "AWS_BATCH_JOB_ARRAY_INDEX", jobs="AWS_BATCH_JOB_ARRAY_SIZE"),
    Array("Google Cloud Batch", "BATCH_TASK_INDEX", jobs="BATCH_TASK_COUNT"),
    Array("Kubernetes", "JOB_COMPLETION_INDEX"),
)
FORM = "pass I/N, with I from 0 to N - 1, such as 0/4, or auto in the jobs of an array"


def read_shard(text: str, variables: Mapping[str, str]) -> Shard:
    """Returns the shard that a flag names.

    Args:
        text: "I/N"; "auto", by the variables of a job array; or "auto/N" where the
            scheduler does not say how many jobs there are, or only some of them run
            again.
        variables: of the environment.

    Raises:
        UserError: it is no shard, or there are no such variables.

    >>> read_shard("2/8", {})
    Shard(number=2, of=8)
    >>> read_shard("auto", {"PBS_ARRAY_INDEX": "3"})
    Traceback (most recent call last):
    ...
    jml.errors.UserError: --shard: PBS does not say how many jobs ...; pass auto/N.
    """
    found = re.fullmatch(r"(auto|[0-9]{1,9})(?:/([0-9]{1,9}))?", text)
    if not found or (found[1] != "auto" and found[2] is None):
        raise UserError(f"--shard: {quoted(text)} is no shard; {FORM}.")
    count = None if found[2] is None else int(found[2])
    if found[1] == "auto":
        shard = _of_job(variables, count)
    else:
        shard = Shard(int(found[1]), int(found[2]))
    if not 0 <= shard.number < shard.of:
        of = "" if found[1] != "auto" else f", by which this job is {shard.number}"
        raise UserError(
            f"--shard: {quoted(text)}{of}: of {shard.of} shards there is none of"
            f" that number; {FORM}."
        )
    return shard


def _of_job(variables: Mapping[str, str], count: int | None) -> Shard:
    arrays = (array for array in ARRAYS if _is_in(array, variables))
    array = next(arrays, None)
    if array is None:
        known = ", ".join(array.job for array in ARRAYS)
        raise UserError(
            f"--shard: auto finds no job array; none of {known} is a number here; pass"
            " I/N."
        )
    index = _number(variables, array.job, 0)
    if count is not None:
        return Shard(index - array.base, count)
    first, step = array.first, max(1, _number(variables, array.step, 1))
    if isinstance(first, str):
        first = _number(variables, first, array.base)
    place, rest = divmod(index - first, step)
    last = _number(variables, array.last, -1)
    number = _number(variables, array.jobs, (last - first) // step + 1)
    if number < 1:
        raise UserError(
            f"--shard: {array.scheduler} does not say how many jobs its array has; pass"
            " auto/N."
        )
    if rest or place >= number:
        raise UserError(
            f"--shard: the jobs of this array of {array.scheduler} are not numbered"
            f" evenly ({array.job} is {index}); pass auto/N, with jobs from"
            f" {array.base}."
        )
    return Shard(place, number)


def _is_in(array: Array, variables: Mapping[str, str]) -> bool:
    number = _number(variables, array.job, -1)
    # A job of LSF that is in no array has the index 0, and one of Grid Engine a word.
    return number >= (1 if array.base else 0)


def _number(variables: Mapping[str, str], name: str, otherwise: int) -> int:
    value = variables.get(name, "")
    return int(value) if value.isascii() and value.isdecimal() else otherwise
