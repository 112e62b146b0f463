"""A node that fails under a run: its jobs are replaced, and nothing of it counts against simulations."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator

import cloudpickle
import numpy as np
import pytest

import simherd as sh
from simherd.events import BlockFinished, BlockLost, RunFinished

cloudpickle.register_pickle_by_value(sys.modules[__name__])

SIMULATIONS, BLOCK = 24, 2
CLUSTER = {"queue": "frail", "jobs": 2, "memory": "500 MiB", "interface": "lo"}


@sh.process
class Climb:
    gain = sh.variable(description="climb per step")
    height = sh.variable(intent="out", description="height reached")

    def initialize(self):
        self.height = 0.0

    def run_step(self):
        import time

        time.sleep(0.2)
        self.height += self.gain


@pytest.fixture
def node(bed, request) -> Iterator[str]:
    """Have a node of the partition ``frail`` up, before the test and after it: one for each test."""
    resume(request.param)
    yield request.param
    resume(request.param)


def resume(node: str) -> None:
    """Let a node that is down take jobs again; SLURM calls it an error for one that is up."""
    subprocess.run(["scontrol", "update", f"nodename={node}", "state=resume"], capture_output=True)


class NodeFailure:
    """Sets down the node with all jobs, once some blocks are finished; keeps what happens."""

    def __init__(self, node: str, after: int) -> None:
        self.node = node
        self.after = after
        self.finished: list[int] = []
        self.lost: list[str] = []
        self.failed = 0

    def __call__(self, event) -> None:
        if isinstance(event, BlockFinished):
            self.finished.append(event.start)
            if len(self.finished) == self.after:
                argv = ["scontrol", "update", f"nodename={self.node}", "state=down", "reason=test"]
                subprocess.run(argv, check=True, capture_output=True)
        elif isinstance(event, BlockLost):
            self.lost.append(event.reason)
        elif isinstance(event, RunFinished):
            self.failed = event.failed


@pytest.mark.slow
@pytest.mark.parametrize("batch_system", ["slurm"], indirect=True)
@pytest.mark.parametrize(
    ("node", "directives", "reason"),
    [("n3", [], "node failed"), ("n4", ["--requeue"], "gone")],
    ids=["by default", "where SLURM starts jobs again"],
    indirect=["node"],
)
def test_a_node_that_fails_costs_neither_results_nor_the_simulations_it_ran(
    bed, node, directives, reason, tmp_path
):
    model = sh.Model({"climb": Climb})
    setup = sh.create_setup(
        model,
        clocks={"time": np.arange(4.0)},
        input_vars={"climb__gain": (("member",), np.arange(float(SIMULATIONS)))},
        output_vars={"climb__height": None},
    )
    watch = NodeFailure(node, after=4)

    with sh.open_client("slurm", directives=[f"--nodelist={node}", *directives], **CLUSTER) as client:
        client.wait_for_workers(2, timeout=60)
        result = sh.run(
            setup,
            model,
            batch_dim="member",
            parallel=True,
            scheduler=client,
            block_size=BLOCK,
            on_error="record",
            store=tmp_path / "out.zarr",
            subscribers=[watch],
        )
        jobs = {job.name: job.status.state.value for job in client.keeper._fleet._jobs}

    assert result.climb__height.values.tolist() == (3.0 * np.arange(SIMULATIONS)).tolist()
    assert (result.simulation_status == 1).all()
    assert watch.failed == 0
    assert sorted(watch.finished) == list(range(0, SIMULATIONS, BLOCK))  # what was done is not done again
    assert watch.lost
    assert all(reason in text for text in watch.lost), watch.lost
    assert [jobs[f"job-{number}"] for number in (0, 1)] == [reason, reason]
    assert len(jobs) == 4
