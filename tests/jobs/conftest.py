"""A plan to start from, and scripts that really run."""

from __future__ import annotations

import dataclasses

import pytest

from simherd.config import SiteSettings
from simherd.jobs import JobPlan, Mode, Resources

SITE = SiteSettings(
    activation=("module load python", "source env/bin/activate"),
    memory_resource="h_vmem",
    disk_resource="disk",
)


@pytest.fixture
def plan():
    """Return a function that makes plans; fields of resources and site are given by their names."""

    def make(scheduler="slurm", mode="mpi", **changes):
        resources = {one.name for one in dataclasses.fields(Resources)}
        site = {one.name for one in dataclasses.fields(SiteSettings)}
        given = {
            "resources": Resources(**{k: v for k, v in changes.items() if k in resources}),
            "site": dataclasses.replace(SITE, **{k: v for k, v in changes.items() if k in site}),
            **{k: v for k, v in changes.items() if k not in resources | site},
        }
        basis = {
            "name": "study",
            "program": ("simherd",),
            "arguments": ("study.yaml",),
            "store": "study.zarr",
            "log_directory": "logs",
            "prologue": ("export OMP_NUM_THREADS=64",),
        }
        return JobPlan(scheduler=scheduler, mode=Mode(mode), **{**basis, **given})

    return make
