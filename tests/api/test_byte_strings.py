"""Byte strings that a model sets are texts in every result."""

from __future__ import annotations

import numpy as np
import pytest

import simherd as sh
from simherd.errors import OutputError


@sh.process
class Bytes:
    n = sh.variable(default=0)
    t = sh.index(dims="t")
    names = sh.variable(dims="t", intent="out")
    last = sh.variable(intent="out")

    def initialize(self):
        self.t = np.array([b"x", b"y"])
        self.names, self.last = np.array([b"aa", "é".encode()]), [b"abc", b"\xff"][self.n]


MODEL = sh.Model({"p": Bytes})


def setup(*outputs, n=0):
    return sh.create_setup(MODEL, input_vars={"p__n": n}, output_vars=dict.fromkeys(outputs))


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("store", [None, "o.zarr"])
@pytest.mark.parametrize("n", [0, ("member", [0, 0])])
def test_byte_strings_are_texts_in_memory_and_store(store, n, tmp_path):
    batch_dim = None if n == 0 else "member"

    result = setup("p__names", "p__last", n=n).simherd.run(
        MODEL, batch_dim=batch_dim, store=store and tmp_path / store
    )

    assert result.t.values.tolist() == ["x", "y"]
    assert np.unique(result.p__names).tolist() == ["aa", "é"]
    assert np.unique(result.p__last).tolist() == ["abc"]


def test_byte_strings_that_are_no_texts_fail_their_simulation():
    with pytest.raises(OutputError, match="Output 'p__last' has byte strings that are no texts"):
        setup("p__last", n=1).simherd.run(MODEL)
