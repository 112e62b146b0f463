"""parallelize(): a parallel map on the executors that run batches.

Workers import `simherd.parallel.task` and little else, so nothing is imported here.
"""
