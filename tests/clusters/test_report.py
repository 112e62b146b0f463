"""Performance reports are pages that need no network."""

from __future__ import annotations

import re

import pytest

import simherd as sh
from simherd.errors import ClusterOptionError


@pytest.mark.cluster
def test_report_is_self_contained(two_workers, tmp_path):
    path = tmp_path / "report.html"

    with two_workers.as_current(), sh.performance_report(path):
        two_workers.submit(abs, -1, pure=False).result()

    page = path.read_text()
    assert re.findall(r'<script[^>]*src=|<link[^>]*rel="stylesheet"', page) == []
    assert "Bokeh" in page


def test_report_without_client_is_an_error(tmp_path, script):
    done = script("import simherd as sh\nsh.performance_report('report.html')")

    assert "ClusterError: A performance report needs an open Dask client" in done.stderr


def test_report_in_a_missing_folder_is_an_error(tmp_path):
    with pytest.raises(ClusterOptionError, match="its folder does not exist"):
        sh.performance_report(tmp_path / "none" / "report.html")
