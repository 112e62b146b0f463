"""What a nanny of a job does first; Dask calls it when the job's workers are about to start."""

from __future__ import annotations

import os
import sys
from typing import Any

from simherd.clusters.versions import check_versions
from simherd.errors import ClusterError

__all__ = ["dask_setup"]


def dask_setup(nanny: Any) -> None:
    """End the job if its workers would run with other versions than the client; Dask only logs exceptions."""
    try:
        check_versions()
    except ClusterError as error:
        print(error, file=sys.stderr, flush=True)  # noqa: T201 (the log of the job)
        os._exit(1)
