"""parallelize(): a parallel map on the executors that run batches."""

from __future__ import annotations

from simherd.parallel.parallel import Parallel, Times, parallelize

__all__ = ["Parallel", "Times", "parallelize"]
