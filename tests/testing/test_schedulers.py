"""The batch schedulers keep their contract."""

from __future__ import annotations

import pytest

from simherd.schedulers import find
from simherd.testing.schedulers import SchedulerContract


@pytest.mark.slurm
class TestSlurm(SchedulerContract):
    arguments = ("--output=/dev/null", "--mem=50M")
    hold = ("--hold",)
    refused = ("--partition=nowhere",)

    @pytest.fixture
    def scheduler(self, slurm):
        return find("slurm")


@pytest.mark.sge
class TestGridEngine(SchedulerContract):
    arguments = ("-o", "/dev/null", "-j", "y")
    hold = ("-h",)
    refused = ("-q", "nowhere.q")

    @pytest.fixture
    def scheduler(self, sge):
        return find("sge")
