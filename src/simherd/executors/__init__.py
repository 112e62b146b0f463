"""Where blocks run: serially, in threads, in worker processes, on a Dask client."""

from simherd.executors.base import Executor
from simherd.executors.payload import pack

__all__ = ["Executor", "pack"]
