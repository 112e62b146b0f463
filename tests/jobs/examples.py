"""The job scripts that jobscripts/ holds, and how each is made."""

from __future__ import annotations

from pathlib import Path

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "jobscripts"

MEMORY = {"slurm": "4GiB", "sge": "8GiB"}
OPTIONS = {
    "mpi": ["--ntasks", "4", "--cores", "1"],
    "jobqueue": ["--jobs", "2", "--cores", "2"],
    "array": ["--jobs", "4", "--cores", "1", "--concurrent", "2"],
}
SCRIPTS = {
    f"{experiment}-{scheduler}-{mode}.sh": (experiment, scheduler, mode)
    for experiment in ("influenza", "jacksboro")
    for scheduler in ("slurm", "sge")
    for mode in ("mpi", "jobqueue", "array")
}


def arguments(name):
    """Return the arguments of simherd that make a script, run in the project's root."""
    experiment, scheduler, mode = SCRIPTS[name]
    return [
        *("script", f"examples/{experiment}.yaml", "--scheduler", scheduler, "--mode", mode),
        *OPTIONS[mode],
        *("--memory", MEMORY[scheduler], "--walltime", "00:15:00"),
        *("--store", f"{experiment}.zarr", "--config", "jobscripts/jobqueue.yaml"),
        *("--output", f"jobscripts/{name}"),
    ]
