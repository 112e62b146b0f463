"""Contracts as tests: what every cluster adapter, job script and batch scheduler must keep.

A new one inherits them in a test module of its own, and says what it is::

    from simherd.testing.clusters import ClusterContract

    class TestMine(ClusterContract):
        kind = "mine"
        options = {"memory": "1 GiB"}

The modules below need pytest, which is no dependency of simherd; nothing else imports them.
"""

from __future__ import annotations
