from __future__ import annotations

import pytest

from simherd.progress.words import listed


@pytest.mark.parametrize(
    ("names", "text"),
    [("", ""), ("1", "1"), ("12", "1, 2"), ("12345678", "1, 2, 3, 4, 5, 6, 7, 8")],
)
def test_names_are_listed(names, text):
    assert listed(names) == text


def test_many_names_are_cut():
    assert listed(map(str, range(100))) == "0, 1, 2, 3, 4, 5, 6, 7 and 92 more"
