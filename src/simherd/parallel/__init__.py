"""parallelize(): a parallel map on the executors that run batches."""

from __future__ import annotations

from simherd.parallel.function import parallelize
from simherd.parallel.parallel import Parallel, Times

__all__ = ["Parallel", "Times", "parallelize"]
