"""Warnings name the line of the user's program."""

from __future__ import annotations

import pytest

import simherd as sh


@sh.process
class Plain:
    given = sh.variable()
    out = sh.variable(intent="out")

    def initialize(self):
        self.out = 1.0


def test_warnings_name_the_line_of_the_user():
    model = sh.Model({"p": Plain})
    setup = sh.create_setup(
        model, input_vars={"p__given": ("member", [1.0, 2.0])}, output_vars={"p__out": None}
    )

    with pytest.warns(RuntimeWarning, match="timeout_s=9") as caught:
        setup.simherd.run(model, batch_dim="member", timeout_s=9, parallel=False)

    assert [one.filename for one in caught] == [__file__]
