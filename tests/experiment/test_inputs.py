"""Rules of loading the inputs of an experiment."""

from __future__ import annotations

import numpy as np
import pytest
import xarray as xr

from simherd.errors import ExperimentError, MissingDependencyError
from simherd.experiment.document import read_document
from simherd.experiment.inputs import load_batch, load_inputs
from simherd.experiment.loading import load_object
from simherd.experiment.schema import Experiment, check

FUNCTIONS = """\
import numpy as np
import xarray as xr

calls = []

def terrain(n=2, shift=0.0):
    calls.append(n)
    return xr.Dataset({"z": ("x", np.arange(n) + shift), "k": ("x", np.ones(n))})

def line():
    return xr.DataArray([1.0, 2.0], dims="x", attrs={"units": "m"})

def plain():
    return [1, 2]

def nothing():
    pass

def breaks():
    return 1 / 0
"""


@pytest.fixture
def folder(tmp_path):
    dataset = xr.Dataset(
        {"elevation": (("y", "x"), np.arange(6.0).reshape(2, 3)), "soil": ("x", [1, 2, 3])},
        coords={"x": [10, 20, 30]},
    )
    dataset.to_netcdf(tmp_path / "dem.nc", encoding={"soil": {"dtype": "int16"}})
    dataset.to_zarr(tmp_path / "dem.zarr", consolidated=False)
    np.save(tmp_path / "z.npy", np.eye(2))
    np.savez(tmp_path / "z.npz", a=np.ones(2), b=np.zeros(3))
    np.savez(tmp_path / "objects.npz", a=np.array([{}, []], dtype=object), b=np.zeros(3))
    (tmp_path / "t.csv").write_text("day,rain\n1,0.5\n2,1.5\n")
    (tmp_path / "fun.py").write_text(FUNCTIONS)
    return tmp_path


def experiment(folder, inputs: str, more: str = "") -> Experiment:
    path = folder / "exp.yaml"
    path.write_text(f"model: a:b\ninputs: {{{inputs}}}\n{more}")
    return check(read_document(path))


def loaded(folder, value: str):
    return load_inputs(experiment(folder, f"a__b: {value}"))["a__b"]


@pytest.mark.parametrize("value", ["1", "2.5", "text", "true", ".inf"])
def test_a_scalar_stays_as_it_is(folder, value):
    spec = experiment(folder, f"a__b: {value}").inputs["a__b"]

    assert loaded(folder, value) == spec
    assert type(loaded(folder, value)) is type(spec)


def test_a_list_is_an_array(folder):
    np.testing.assert_array_equal(loaded(folder, "[[1, 2], [3, 4]]"), [[1, 2], [3, 4]])
    assert loaded(folder, "[a, b]").tolist() == ["a", "b"]


def test_a_value_with_dims_is_a_labelled_tuple(folder):
    dims, data, attrs = loaded(folder, "{value: [1, 2], dims: [x], attrs: {units: m}}")

    assert (dims, data.tolist(), attrs) == (("x",), [1, 2], {"units": "m"})


def test_plain_data_of_any_shape_can_be_a_value(folder):
    assert loaded(folder, "{value: {k: [1]}}") == {"k": [1]}


@pytest.mark.parametrize("name", ["dem.nc", "dem.zarr"])
def test_a_variable_of_a_dataset_comes_with_its_labels(folder, name):
    array = loaded(folder, f"{{file: {name}, variable: elevation}}")

    assert array.dims == ("y", "x")
    assert array.x.values.tolist() == [10, 20, 30]
    assert array.values[1, 2] == 5
    assert array.encoding == {}


@pytest.fixture
def projected(folder):
    """A folder with a map as GDAL writes it: only an attribute says that 'crs' belongs to it."""
    elevation = (("y", "x"), np.ones((2, 3)), {"grid_mapping": "crs", "units": "m"})
    coords = {"x": [10, 20, 30], "lon": (("y", "x"), np.ones((2, 3)))}
    xr.Dataset({"z": elevation, "crs": 0}, coords).to_netcdf(folder / "map.nc")
    return folder


def test_all_coordinates_of_a_file_are_kept(projected):
    array = loaded(projected, "{file: map.nc, variable: z}")

    assert set(array.coords) == {"x", "lon", "crs"}
    assert array.attrs == {"grid_mapping": "crs", "units": "m"}


def test_the_only_variable_of_a_file_is_the_one_with_data(projected):
    assert loaded(projected, "{file: map.nc}").name == "z"


def test_coordinates_get_the_names_of_their_dimensions(projected):
    array = loaded(projected, "{file: map.nc, variable: z, dims: [row, column], attrs: {units: km}}")

    assert array.column.values.tolist() == [10, 20, 30]
    assert array.lon.dims == array.dims == ("row", "column")
    assert array.attrs["units"] == "km"


def test_a_loaded_variable_survives_its_file(folder):
    array = loaded(folder, "{file: dem.nc, variable: soil}")
    (folder / "dem.nc").unlink()

    assert array.values.tolist() == [1, 2, 3]


@pytest.mark.parametrize(
    ("spec", "values"),
    [
        ("{file: z.npy}", [[1, 0], [0, 1]]),
        ("{file: z.npz, variable: a}", [1, 1]),
        ("{file: t.csv, variable: rain}", [0.5, 1.5]),
    ],
)
def test_other_files_give_arrays(folder, spec, values):
    assert loaded(folder, spec).tolist() == values


def test_dims_and_attrs_are_added_to_what_a_file_holds(folder):
    dims, data, attrs = loaded(folder, "{file: z.npy, dims: [y, x], attrs: {units: m}}")
    array = loaded(folder, "{file: dem.nc, variable: soil, attrs: {units: m}}")

    assert (dims, data.shape, attrs) == (("y", "x"), (2, 2), {"units": "m"})
    assert array.attrs == {"units": "m"}


@pytest.mark.parametrize(
    ("spec", "values"),
    [
        ("{call: 'fun.py:terrain', variable: z}", [0, 1]),
        ("{call: 'fun.py:terrain', variable: z, arguments: {n: 3, shift: 1.0}}", [1, 2, 3]),
        ("{call: 'fun.py:line'}", [1, 2]),
        ("{call: 'fun.py:plain'}", [1, 2]),
        ("{call: 'numpy:arange', arguments: {stop: 3}}", [0, 1, 2]),
    ],
)
def test_a_function_gives_an_input(folder, spec, values):
    assert np.asarray(loaded(folder, spec)).tolist() == values


def test_one_call_with_the_same_arguments_is_shared(folder):
    call = "call: 'fun.py:terrain', arguments: "
    inputs = (
        f"a__z: {{{call}{{n: 2, shift: 1}}, variable: z}}, "
        f"a__k: {{{call}{{shift: 1, n: 2}}, variable: k}}, "
        f"b__z: {{{call}{{n: 4}}, variable: z}}"
    )

    load_inputs(experiment(folder, inputs))

    assert load_object("fun.py:calls", folder) == [2, 4]


@pytest.mark.parametrize(
    ("spec", "parts"),
    [
        ("{file: dme.nc}", ["No such file", "Did you mean 'dem.nc'", "correct the path"]),
        ("{file: no/dem.nc}", ["There is no folder"]),
        ("{file: dem.tif}", ["must end in .nc, .zarr, .npy, .npz, .csv"]),
        ("{file: dem.nc, variable: elevatoin}", ["no variable", "Did you mean 'elevation'"]),
        ("{file: dem.nc}", ["2 variables: 'elevation', 'soil'", "'variable:'"]),
        ("{file: z.npz, variable: c}", ["no variable 'c'"]),
        ("{file: bad.nc}", ["Cannot read"]),
        ("{file: objects.npz, variable: a}", ["Cannot read 'a' of", "allow_pickle"]),
        ("{file: z.npy, dims: [x]}", ["1 dims (x) for 2 dimensions"]),
        ("{file: z.npy, attrs: {units: m}}", ["attrs of an array need 'dims'"]),
        ("[[1, 2], [3]]", ["not of one length"]),
        ("[1, x]", ["texts and other values"]),
        ("{value: [1, 2], dims: [x, y]}", ["2 dims (x, y) for 1 dimensions"]),
        ("{call: 'fun.py:terain'}", ["has no 'terain'. Did you mean 'terrain'"]),
        ("{call: 'fn.py:terrain'}", ["Cannot read"]),
        ("{call: 'no_such_module:f'}", ["There is no module 'no_such_module'"]),
        ("{call: 'fun.py:terrain'}", ["2 variables: 'z', 'k'"]),
        ("{call: 'fun.py:terrain', variable: y}", ["no variable 'y'"]),
        ("{call: 'fun.py:terrain', arguments: {m: 3}}", ["TypeError", "'m'"]),
        ("{call: 'fun.py:line', variable: z}", ["DataArray, which has no variables"]),
        ("{call: 'fun.py:calls'}", ["is not a function"]),
        ("{call: 'fun.py:nothing'}", ["gave nothing (None)"]),
        ("{call: 'fun.py:breaks'}", ["ZeroDivisionError: division by zero (line 20 of"]),
    ],
)
def test_each_fault_gives_one_error_with_its_place(folder, spec, parts):
    (folder / "bad.nc").write_text("no netCDF")

    with pytest.raises(ExperimentError) as caught:
        loaded(folder, spec)

    message = str(caught.value)
    assert "exp.yaml, line 2: key 'inputs.a__b': " in message
    assert "\n" not in message
    for part in parts:
        assert part in message


def test_the_error_of_a_function_is_kept_as_the_cause(folder):
    with pytest.raises(ExperimentError) as caught:
        loaded(folder, "{call: 'fun.py:breaks'}")

    assert isinstance(caught.value.__cause__, ZeroDivisionError)


def test_a_missing_reader_is_named(folder, monkeypatch):
    xr.backends.list_engines()  # xarray remembers what it finds the first time
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    (folder / "bad.nc").write_text("no netCDF")

    with pytest.raises(MissingDependencyError, match="pip install netCDF4"):
        loaded(folder, "{file: bad.nc}")


def test_without_a_batch_there_are_no_batch_values(folder):
    assert load_batch(experiment(folder, "")) == {}


def test_a_batch_is_sampled_or_read_from_its_table(folder):
    grid = "batch: {sampling: grid, parameters: {a__b: [1, 2], a__c: [3]}}"
    table = "batch: {sampling: t.csv, parameters: {a__b: rain}}"

    assert load_batch(experiment(folder, "", grid))["a__c"].tolist() == [3, 3]
    assert load_batch(experiment(folder, "", table))["a__b"].tolist() == [0.5, 1.5]


def test_labels_of_a_table_are_those_of_the_batch(folder):
    xr.Dataset({"b": ("case", [1.0, 2.0])}, {"case": ["low", "high"]}).to_netcdf(folder / "cases.nc")
    batch = "batch: {dim: member, sampling: cases.nc, parameters: {a__b: b}}"

    values = load_batch(experiment(folder, "", batch))["a__b"]

    assert values.member.values.tolist() == ["low", "high"]


@pytest.mark.parametrize("size", [1, 2])
def test_a_part_of_a_table_keeps_its_labels(folder, size):
    xr.Dataset({"b": ("case", [1.0, 2.0, 3.0])}, {"case": ["a", "b", "c"]}).to_netcdf(folder / "three.nc")
    batch = f"batch: {{dim: member, size: {size}, sampling: three.nc, parameters: {{a__b: b}}}}"

    values = load_batch(experiment(folder, "", batch))["a__b"]

    assert values.member.values.tolist() == ["a", "c"][:size]
    assert values.values.tolist() == [1.0, 3.0][:size]


def test_a_part_of_a_table_has_no_more_rows_than_it(folder):
    with pytest.raises(ExperimentError, match=r"Size is 3, but the table has 2 rows"):
        load_batch(experiment(folder, "", "batch: {size: 3, sampling: t.csv, parameters: {a__b: rain}}"))


def test_a_fault_of_a_table_names_its_place(folder):
    batch = "batch: {sampling: tt.csv}"

    with pytest.raises(ExperimentError, match=r"line 3: key 'batch': No such file"):
        load_batch(experiment(folder, "", batch))


@pytest.fixture
def large(tmp_path, monkeypatch):
    """Files of an array along the batch, every one of which counts as too large to load."""
    monkeypatch.setattr("simherd.setup.lazy.LOADED_BYTES", 0)
    dataset = xr.Dataset({"rain": (("member", "x"), np.arange(12.0).reshape(4, 3))})
    dataset.to_netcdf(tmp_path / "rain.nc")
    dataset.to_zarr(tmp_path / "rain.zarr", consolidated=False)
    return tmp_path


BATCH = "batch: {dim: member, sampling: zip, parameters: {m__k: [1, 2, 3, 4]}}"


@pytest.mark.parametrize("file", ["rain.nc", "rain.zarr"])
@pytest.mark.parametrize("prefix", ["", "file://{folder}/"])
def test_large_inputs_along_the_batch_stay_in_their_files(large, file, prefix):
    address = prefix.format(folder=large) + file

    values = load_inputs(experiment(large, f"m__rain: {{file: '{address}'}}", BATCH))

    rain = values["m__rain"]
    assert rain.chunks is not None
    assert rain.encoding["source"] == str(large / file)
    np.testing.assert_array_equal(rain, np.arange(12.0).reshape(4, 3))


def test_large_inputs_stay_in_files_that_name_the_batch_otherwise(large):
    xr.Dataset({"rain": (("run", "x"), np.ones((4, 3)))}).to_netcdf(large / "other.nc")

    values = load_inputs(experiment(large, "m__rain: {file: other.nc, dims: [member, x]}", BATCH))

    assert values["m__rain"].dims == ("member", "x")
    assert values["m__rain"].chunks is not None


@pytest.mark.parametrize("more", ["", BATCH])
def test_large_inputs_that_all_simulations_share_are_loaded(large, more):
    xr.Dataset({"z": ("x", np.ones(3))}).to_netcdf(large / "dem.nc")

    values = load_inputs(experiment(large, "m__z: {file: dem.nc}", more))

    assert values["m__z"].chunks is None


def test_files_at_addresses_are_read(large):
    import fsspec

    dataset = xr.Dataset({"rain": (("member", "x"), np.arange(12.0).reshape(4, 3))})
    dataset.to_zarr("memory://store/rain.zarr", mode="w", consolidated=False)
    with fsspec.open("memory://store/t.csv", "w") as file:
        file.write("day,rain\n1,0.5\n2,1.5\n")
    inputs = (
        "m__rain: {file: 'memory://store/rain.zarr'}, m__t: {file: 'memory://store/t.csv', variable: rain}"
    )

    values = load_inputs(experiment(large, inputs, BATCH))

    assert values["m__rain"].chunks is not None
    loaded = values["m__rain"].compute(scheduler="sync")  # what is in this memory is not in that of workers
    np.testing.assert_array_equal(loaded, dataset.rain)
    np.testing.assert_array_equal(values["m__t"], [0.5, 1.5])


def test_addresses_that_cannot_be_read_are_named(large):
    with pytest.raises(ExperimentError, match=r"Cannot read 'memory://nowhere/t.csv'"):
        load_inputs(experiment(large, "m__t: {file: 'memory://nowhere/t.csv'}"))
    with pytest.raises(ExperimentError, match=r"must end in .nc"):
        load_inputs(experiment(large, "m__t: {file: 'memory://nowhere/t.txt'}"))
