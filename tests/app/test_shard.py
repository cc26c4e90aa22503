"""Which share of the images a job embeds, by its flag and by its scheduler."""

import pytest

from jml.app._use._shard import read_shard
from jml.errors import UserError


def slurm(job, first=0, last=7, step=1):
    count = (last - first) // step + 1
    names = {"ID": job, "MIN": first, "MAX": last, "STEP": step, "COUNT": count}
    return {f"SLURM_ARRAY_TASK_{name}": str(value) for name, value in names.items()}


def grid_engine(job, first=1, last=8, step=1):
    names = {"ID": job, "FIRST": first, "LAST": last, "STEPSIZE": step}
    return {f"SGE_TASK_{name}": str(value) for name, value in names.items()}


def lsf(job, last=8, step=1):
    names = {"": job, "_END": last, "_STEP": step}
    return {f"LSB_JOBINDEX{name}": str(value) for name, value in names.items()}


AWS = {"AWS_BATCH_JOB_ARRAY_INDEX": "3", "AWS_BATCH_JOB_ARRAY_SIZE": "8"}
GOOGLE = {"BATCH_TASK_INDEX": "3", "BATCH_TASK_COUNT": "8"}


@pytest.mark.parametrize(
    "text, variables, shard",
    [
        ("0/1", {}, (0, 1)),
        ("7/8", slurm(1), (7, 8)),
        ("auto", slurm(0), (0, 8)),
        ("auto", slurm(7), (7, 8)),
        ("auto", slurm(8, first=1, last=8), (7, 8)),
        ("auto", slurm(16, first=10, last=22, step=3), (2, 5)),
        ("auto/8", slurm(5, first=5, last=5), (5, 8)),  # a single job runs again
        ("auto", grid_engine(1), (0, 8)),
        ("auto", grid_engine(8), (7, 8)),
        ("auto", grid_engine(9, first=3, last=11, step=2), (3, 5)),
        ("auto/9", grid_engine(9, first=9, last=9), (8, 9)),
        ("auto", grid_engine("undefined") | lsf(8), (7, 8)),
        ("auto", lsf(1), (0, 8)),
        ("auto", lsf(7, last=9, step=3), (2, 3)),
        ("auto/8", {"PBS_ARRAY_INDEX": "0"}, (0, 8)),
        ("auto/8", {"PBS_ARRAYID": "7"}, (7, 8)),
        ("auto/8", {"JOB_COMPLETION_INDEX": "7"}, (7, 8)),
        ("auto", AWS, (3, 8)),
        ("auto", GOOGLE, (3, 8)),
    ],
)
def test_a_shard(text, variables, shard):
    assert read_shard(text, variables) == shard


@pytest.mark.parametrize("last", [1, 5, 12])
@pytest.mark.parametrize("array", [slurm, grid_engine, lsf])
def test_every_job_of_an_array_has_its_own_shard(array, last):
    first = 0 if array is slurm else 1
    jobs = range(first, last + 1)
    shards = [read_shard("auto", array(job, last=last)) for job in jobs]
    assert shards == [(i, len(jobs)) for i in range(len(jobs))]


@pytest.mark.parametrize(
    "text, variables, words",
    [
        ("3/2", {}, "'3/2': of 2 shards there is none of that number"),
        ("2/2", {}, "there is none of that number; pass I/N, with I from 0 to N - 1"),
        ("0/0", {}, "none of that number"),
        ("-1/2", {}, "'-1/2' is no shard"),
        ("1", {}, "is no shard"),
        ("1/", {}, "is no shard"),
        ("٣/٤", {}, "is no shard"),
        ("auto", {}, "finds no job array; none of SLURM_ARRAY_TASK_ID"),
        ("auto", lsf(0), "finds no job array"),
        ("auto", grid_engine("undefined"), "finds no job array"),
        ("auto", {"PBS_ARRAY_INDEX": "3"}, "PBS does not say how many .* auto/N"),
        ("auto/3", {"PBS_ARRAY_INDEX": "3"}, "this job is 3: of 3 shards"),
        ("auto/3", grid_engine(4), "this job is 3: of 3 shards"),
        ("auto", slurm(5, first=1, last=5) | {"SLURM_ARRAY_TASK_COUNT": "2"}, "evenly"),
    ],
)
def test_what_is_no_shard_is_one_line(text, variables, words):
    with pytest.raises(UserError, match=f"^--shard: .*{words}"):
        read_shard(text, variables)
