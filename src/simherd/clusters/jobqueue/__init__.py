"""Clusters whose workers are jobs of a batch scheduler.

dask-jobqueue writes the job scripts and gives the Dask scheduler. Submitting jobs, watching and replacing
them is done here: it knows a job only until it is submitted.
"""

from __future__ import annotations

from simherd.clusters.jobqueue.adapter import open_jobs, worker_script
from simherd.clusters.jobqueue.kinds import HandedOver, Kind
from simherd.clusters.jobqueue.options import option_names

__all__ = ["HandedOver", "Kind", "open_jobs", "option_names", "worker_script"]
