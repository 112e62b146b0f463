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


MODEL = sh.Model({"p": Plain})


def setup_of(given):
    return sh.create_setup(MODEL, input_vars={"p__given": given}, output_vars={"p__out": None})


def warn_of_a_time_limit(tmp_path):
    setup_of(("member", [1.0, 2.0])).simherd.run(MODEL, batch_dim="member", timeout_s=9, parallel=False)


def warn_of_a_scheduler(tmp_path):
    setup_of(1.0).simherd.run(MODEL, parallel=True, scheduler="processes")


def warn_of_a_missing_chunk(tmp_path):
    setup, store = setup_of(("member", [1.0, 2.0])), tmp_path / "o.zarr"
    run = {"batch_dim": "member", "store": store, "parallel": False}
    setup.simherd.run(MODEL, **run)
    next((store / "p__out").glob("c*")).unlink()
    setup.simherd.run(MODEL, **run, resume=True)


@pytest.mark.parametrize(
    ("warn", "said"),
    [
        (warn_of_a_time_limit, "timeout_s=9"),
        (warn_of_a_scheduler, "runs batches"),
        (warn_of_a_missing_chunk, "1 chunk missing"),
    ],
)
def test_warnings_name_the_line_of_the_user(warn, said, tmp_path):
    with pytest.warns(Warning, match=said) as caught:
        warn(tmp_path)

    assert [one.filename for one in caught] == [__file__]
