"""The landscape model and the terrain that it starts from."""

import subprocess
import sys

import attr
import numpy as np
import pytest
import xarray as xr

from simherd.errors import MissingDependencyError
from simherd.examples import landscape, terrain
from simherd.examples.depressions import interior_pits
from simherd.examples.hydrology import steepest_receivers

STEP = 5e3
DEFAULTS = {
    ("uplift", "rate"): 3e-5,
    ("incision", "erodibility"): 1e-6,
    ("incision", "area_exponent"): 0.5,
    ("diffusion", "diffusivity"): 1e-2,
}


@pytest.fixture(scope="module")
def jacksboro():
    return terrain.jacksboro(coarsen=12)


def run(dataset, steps=10, model=landscape.model, **inputs):
    """Run the model on a map, by hand, and return it with its last state."""
    model = model.clone()
    given = DEFAULTS | {
        ("terrain", "dx"): dataset["dx"].values,
        ("terrain", "dy"): dataset["dy"].values,
        ("surface", "elevation"): dataset["elevation"].values,
    }
    given |= {tuple(name.split("__")): value for name, value in inputs.items()}
    model.update_state(given)
    model.execute("initialize", {})
    for step in range(steps):
        context = {"step": step, "step_delta": np.asarray(STEP)}
        model.execute("run_step", context)
        model.execute("finalize_step", context)
    return model


def edge_of(grid):
    return np.concatenate((grid[0], grid[-1], grid[:, 0], grid[:, -1]))


class TestJacksboro:
    def test_is_a_map_of_344_by_403_cells_in_metres(self):
        whole = terrain.jacksboro()

        assert whole["elevation"].sizes == {"y": 344, "x": 403}
        assert whole["elevation"].dtype == np.float64
        assert (whole["elevation"].min(), whole["elevation"].max()) == (236.0, 1076.0)

    def test_has_units_and_descriptions(self, jacksboro):
        for variable in jacksboro.variables.values():
            assert variable.attrs["units"] == "m"
            assert variable.attrs["description"]

        assert "jacksboro_fault_dem.npz" in jacksboro.attrs["source"]

    def test_has_cells_of_three_arc_seconds(self):
        whole = terrain.jacksboro()

        # Tables of the WGS84 ellipsoid: a degree at 36.5895 N is 89.49 km wide, 110.97 km high.
        assert whole["dx"] * 1200.0 == pytest.approx(89_488.0, abs=10.0)
        assert whole["dy"] * 1200.0 == pytest.approx(110_970.0, abs=10.0)

    def test_starts_in_the_south_west(self):
        cbook = pytest.importorskip("matplotlib.cbook")
        north_first = cbook.get_sample_data(terrain.SAMPLE_FILE)["elevation"]

        whole = terrain.jacksboro()

        assert np.array_equal(whole["elevation"], north_first[::-1])
        assert whole["x"][0] == whole["dx"] / 2.0
        assert whole["y"][0] == whole["dy"] / 2.0

    def test_is_coarsened_by_means_of_whole_blocks(self):
        whole, coarse = terrain.jacksboro(), terrain.jacksboro(coarsen=4)

        assert coarse["elevation"].sizes == {"y": 86, "x": 100}
        assert coarse["dx"] == 4.0 * whole["dx"]
        first_block = whole["elevation"][:4, :4].mean()
        assert coarse["elevation"][0, 0] == first_block
        kept = whole["elevation"][:, :400]
        assert coarse["elevation"].mean() == pytest.approx(float(kept.mean()), rel=1e-12)

    @pytest.mark.parametrize("coarsen", [0, -1, 345])
    def test_cannot_be_coarsened_to_nothing(self, coarsen):
        with pytest.raises(ValueError, match=r"from 1 to 344"):
            terrain.jacksboro(coarsen)

    def test_without_matplotlib_says_what_to_install(self, monkeypatch):
        monkeypatch.setitem(sys.modules, "matplotlib.cbook", None)

        with pytest.raises(MissingDependencyError, match=r"pip install 'simherd\[plot\]'"):
            terrain.jacksboro()

    def test_without_the_sample_file_says_what_to_install(self, monkeypatch):
        monkeypatch.setattr(terrain, "SAMPLE_FILE", "not_there.npz")

        with pytest.raises(MissingDependencyError, match=r"pip install 'simherd\[plot\]'"):
            terrain.jacksboro()

    def test_has_over_3000_pits_and_flats(self):
        whole = terrain.jacksboro()

        receiver = steepest_receivers(whole["elevation"].values, 1.0, 1.0)

        assert interior_pits(receiver).size > 3000


class TestModel:
    def test_asks_for_a_map_and_has_defaults_for_the_rest(self):
        of_map = {("terrain", "dx"), ("terrain", "dy"), ("surface", "elevation")}

        assert set(landscape.model.input_vars) == of_map | DEFAULTS.keys()
        for (process, variable), default in DEFAULTS.items():
            assert attr.fields_dict(type(landscape.model[process]))[variable].default == default

    def test_describes_all_and_gives_units_to_all_numbers(self):
        for process in landscape.model.values():
            for name, declared in attr.fields_dict(type(process)).items():
                kind, units = declared.metadata["var_type"].value, declared.metadata["attrs"]
                assert declared.metadata["description"] or kind == "group", name
                assert "units" in units or kind == "group" or name == "network", name

    def test_starts_from_a_surface_without_pits(self, jacksboro):
        model = run(jacksboro, steps=0)

        receiver = steepest_receivers(model.surface.elevation, model.terrain.dx, model.terrain.dy)
        assert interior_pits(receiver).size == 0
        assert np.all(model.surface.elevation >= jacksboro["elevation"].values)

    def test_has_the_coordinates_of_its_map(self, jacksboro):
        model = run(jacksboro, steps=0)

        assert np.array_equal(model.terrain.x, jacksboro["x"])
        assert np.array_equal(model.terrain.y, jacksboro["y"])

    def test_leaves_the_given_elevations_alone(self, jacksboro):
        kept = jacksboro["elevation"].copy(deep=True)

        run(jacksboro)

        assert jacksboro["elevation"].identical(kept)

    def test_closes_its_balance_of_rock(self, jacksboro):
        start = run(jacksboro, steps=0).surface.elevation

        model = run(jacksboro, steps=20, uplift__rate=1e-4, diffusion__diffusivity=0.1)

        interior_share = (start[1:-1, 1:-1].size) / start.size
        raised = 20 * STEP * 1e-4 * interior_share
        expected = start.mean() + raised - model.surface.mean_erosion
        assert model.surface.elevation.mean() == pytest.approx(expected, rel=1e-12)
        assert model.surface.mean_erosion > 0.0

    def test_conserves_mass_when_nothing_but_creep_acts(self, jacksboro):
        creep = landscape.model.drop_processes(["uplift", "flow", "incision"])
        start = run(jacksboro, steps=0).surface.elevation

        model = run(jacksboro, model=creep, diffusion__diffusivity=1.0)

        assert model.surface.elevation.mean() == pytest.approx(start.mean(), rel=1e-13)
        assert model.surface.relief < np.ptp(start)

    def test_keeps_the_edge_when_creep_does_not_act(self, jacksboro):
        no_creep = landscape.model.drop_processes("diffusion")
        start = run(jacksboro, steps=0).surface.elevation

        model = run(jacksboro, model=no_creep)

        assert np.array_equal(edge_of(model.surface.elevation), edge_of(start))

    def test_drains_the_whole_map_over_its_edge_at_every_step(self, jacksboro):
        model = run(jacksboro, steps=10, diffusion__diffusivity=0.1)

        area = jacksboro["elevation"].size * model.terrain.cell_area
        leaving = model.flow.drainage_area.copy()
        leaving[1:-1, 1:-1] = 0.0
        assert leaving.sum() == pytest.approx(area, rel=1e-14)

    def test_erodes_more_where_rock_is_softer(self, jacksboro):
        hard, soft = (run(jacksboro, incision__erodibility=k).surface for k in (1e-7, 1e-5))

        assert soft.mean_erosion > hard.mean_erosion > 0.0

    def test_takes_maps_of_rates(self, jacksboro):
        shape = jacksboro["elevation"].shape
        maps = {"uplift__rate": np.full(shape, 3e-5), "incision__erodibility": np.full(shape, 1e-6)}

        from_maps, from_scalars = run(jacksboro, **maps), run(jacksboro)

        assert np.array_equal(from_maps.surface.elevation, from_scalars.surface.elevation)

    def test_refuses_a_map_with_gaps(self, jacksboro):
        with_gap = jacksboro.copy(deep=True)
        with_gap["elevation"][3, 4] = np.nan

        with pytest.raises(ValueError, match="1 missing values"):
            run(with_gap, steps=0)

    def test_gives_the_same_bits_each_time(self, jacksboro):
        first, second = (run(jacksboro).surface.elevation for _ in range(2))

        assert first.tobytes() == second.tobytes()

    @pytest.mark.parametrize(
        "wrong", [{"terrain__dx": 0.0}, {"terrain__dy": -1.0}, {"diffusion__diffusivity": -1e-2}]
    )
    def test_refuses_values_without_sense(self, jacksboro, wrong):
        with pytest.raises(ValueError, match=next(iter(wrong)).split("__")[1]):
            run(jacksboro, steps=0, **wrong)


def test_importing_the_example_loads_no_matplotlib():
    code = (
        "import sys, simherd.examples.landscape, simherd.examples.pictures\n"
        "sys.exit('matplotlib' in sys.modules)"
    )

    finished = subprocess.run([sys.executable, "-c", code], check=False)

    assert finished.returncode == 0


def test_a_picture_shows_the_simulation_that_changed_most(jacksboro, tmp_path):
    pytest.importorskip("matplotlib")
    from simherd.examples.pictures import draw_jacksboro

    ground = jacksboro["elevation"]
    after = xr.concat([ground, ground - 5.0, ground - 1.0], dim="member")
    store = xr.Dataset(
        {
            "surface__elevation": xr.concat([ground, after], dim="snapshot"),
            "incision__erodibility": ("member", [1e-7, 1e-6, 1e-5]),
            "diffusion__diffusivity": ("member", [1e-3, 1e-2, 1e-1]),
        },
        coords={"snapshot": [0.0, 5e5]},
    )

    draw_jacksboro(store, tmp_path / "most.png")
    draw_jacksboro(store, tmp_path / "second.png", member=1)
    draw_jacksboro(store, tmp_path / "third.png", member=2)

    most, second, third = ((tmp_path / f"{n}.png").read_bytes() for n in ("most", "second", "third"))
    assert most == second != third
