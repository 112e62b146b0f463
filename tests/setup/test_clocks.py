from __future__ import annotations

import numpy as np
import pytest
import xarray as xr

from simherd.errors import SetupError, UnknownNameError
from simherd.setup.clocks import add_clocks, clock_names, main_clock, positions_on


def test_one_clock_is_the_main_one():
    dataset = add_clocks(xr.Dataset(), {"time": [0, 1, 2]})

    assert main_clock(dataset) == "time"
    assert clock_names(dataset) == ["time"]


def test_several_clocks_need_a_main_one():
    with pytest.raises(SetupError, match="none is called the main one"):
        add_clocks(xr.Dataset(), {"time": [0, 1, 2], "coarse": [0, 2]})


def test_a_main_clock_that_does_not_exist_comes_with_the_close_match():
    with pytest.raises(UnknownNameError, match="Did you mean 'time'"):
        add_clocks(xr.Dataset(), {"time": [0, 1, 2], "coarse": [0, 2]}, "tine")


def test_the_main_clock_stays_when_another_is_added():
    dataset = add_clocks(xr.Dataset(), {"time": [0, 1, 2]})

    assert main_clock(add_clocks(dataset, {"coarse": [0, 2]})) == "time"


def test_units_and_calendar_of_the_main_clock_hold_for_all():
    dataset = add_clocks(
        xr.Dataset(), {"time": [0, 1, 2], "coarse": [0, 2]}, {"dim": "time", "units": "days since 2000-01-01"}
    )

    assert dataset.coarse.attrs["units"] == dataset.time.attrs["units"] == "days since 2000-01-01"


@pytest.mark.parametrize("values", [[[0, 1], [2, 3]], ("other", [0, 1]), []])
def test_a_clock_is_labels_along_its_own_name(values):
    with pytest.raises(SetupError, match=r"Clock|clock"):
        add_clocks(xr.Dataset(), {"time": values})


def test_labels_are_found_in_spite_of_round_off():
    main = np.arange(0, 1.01, 0.1)

    assert 0.3 not in main
    assert positions_on(main, [0.0, 0.3, 0.7], "coarse", "time") == (0, 3, 7)


def test_labels_are_found_on_a_main_clock_that_runs_backwards():
    assert positions_on([3.0, 2.0, 1.0, 0.0], [2.0, 0.0], "coarse", "time") == (1, 3)


def test_dates_are_found():
    main = np.array(["2000-01-01", "2000-01-02", "2000-01-03"], "M8[ns]")

    assert positions_on(main, main[::2], "coarse", "time") == (0, 2)


def test_a_label_off_the_main_clock_is_named():
    with pytest.raises(SetupError, match=r"'coarse'.*'time': 0\.5"):
        positions_on([0.0, 1.0, 2.0], [0.0, 0.5], "coarse", "time")


@pytest.mark.parametrize("labels", [[2, 0], [1, 1]])
def test_labels_follow_the_main_clock_and_come_once(labels):
    with pytest.raises(SetupError, match="order of the main clock"):
        positions_on([0, 1, 2], labels, "coarse", "time")


@pytest.mark.parametrize("main", [3, ["time"], ("time", "coarse")])
def test_a_main_clock_that_is_neither_name_nor_mapping_is_an_error(main):
    with pytest.raises(SetupError, match="the name of a clock is needed"):
        add_clocks(xr.Dataset(), {"time": [0, 1, 2], "coarse": [0, 2]}, main)


def test_an_unknown_option_of_the_main_clock_comes_with_the_close_match():
    with pytest.raises(SetupError, match=r"master_clock: 'unit' is not known\. Did you mean 'units'"):
        add_clocks(xr.Dataset(), {"time": [0, 1]}, {"dim": "time", "unit": "days"})


def test_clocks_that_are_no_mapping_are_an_error():
    with pytest.raises(SetupError, match=r"clocks: a mapping is needed, found \[0, 1\]"):
        add_clocks(xr.Dataset(), [0, 1])


@pytest.mark.parametrize(
    "labels",
    [
        ["2000-01-01", "2000-01-02"],
        np.array(["2000-01-01", "2000-01-02"], object),
        np.array([b"a", b"b"]),
        [False, True],
    ],
)
def test_labels_that_have_no_differences_are_an_error(labels):
    with pytest.raises(SetupError, match=r"'time' has labels that are neither numbers nor dates.*datetime64"):
        add_clocks(xr.Dataset(), {"time": labels})
