"""Too little address space is told before a job is submitted."""

from __future__ import annotations

import pytest

from simherd.clusters.sge import KIND
from simherd.schedulers.address_space import small_address_space


@pytest.mark.parametrize(
    ("directive", "found"),
    [
        ("-l h_vmem=500M", "h_vmem=500M, which limits the address space of each slot to 500.0 MiB"),
        (
            "-l h_rt=60,s_vmem=0.5g,gpu=1",
            "s_vmem=0.5g, which limits the address space of each slot to 476.8 MiB",
        ),
        ("-l h_vmem=1048576K -l h_vmem=900000000", "h_vmem=900000000,"),
        ("-l h_vmem=2G", None),
        ("-l h_vmem=1G", None),
        ("-l mem_free=100M", None),
        ("-l my_h_vmem=100M", None),
        ("-N h_vmem", None),
    ],
)
def test_small_limits_are_named(directive, found):
    caution = small_address_space(["-cwd", directive])

    assert caution is None if found is None else found in caution


def test_worker_jobs_are_looked_at():
    assert "h_vmem=600M" in KIND.caution("#!/bin/bash\n#$ -l h_vmem=600M\npython")
    assert KIND.caution("#!/bin/bash\n#$ -cwd\n# -l h_vmem=600M\n") is None
