"""``dataset.xsimlab`` and ``dataset.filter``: setups and runs as methods of a Dataset."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from typing import Any

import xarray as xr

from simherd.api.accessor import SetupView
from simherd.api.run import run
from simherd.compat.xsimlab import marks
from simherd.compat.xsimlab.hook import unregistered
from simherd.compat.xsimlab.schedulers import scheduler_of
from simherd.errors import UnknownNameError
from simherd.model.graph import Key, join_name
from simherd.model.model import Model
from simherd.model.names import flatten_keys
from simherd.setup import clocks as native_clocks
from simherd.setup import dataset as native
from simherd.setup.objects import NONE_ATTR
from simherd.store.codecs import ZARR_2_KEYS
from simherd.store.layout import ENCODING_KEYS
from simherd.user_warnings import warn_user

__all__ = ["SimlabAccessor", "as_variable_key", "create_setup"]


class SimlabAccessor(SetupView):
    """Methods of a Dataset that is a setup or a result.

    Parameters
    ----------
    ds : Dataset
        The setup; marked as one by xarray-simlab 0.5.0, by this module or by simherd.
    """

    _clock_key = marks.CLOCK
    _master_clock_key = marks.MASTER_CLOCK
    _output_vars_key = marks.OUTPUT_VARS

    @property
    def _setup(self) -> xr.Dataset:
        return marks.to_ours(self._ds)

    def update_clocks(
        self,
        model: Model | None = None,
        clocks: Mapping[str, Any] | None = None,
        master_clock: str | Mapping[str, Any] | None = None,
    ) -> xr.Dataset:
        """Return a setup with clocks added or replaced; see `simherd.setup.update_clocks`."""
        return marks.to_theirs(native.update_clocks(self._setup, model, clocks, master_clock))

    def update_vars(
        self,
        model: Model | None = None,
        input_vars: Mapping[Any, Any] | None = None,
        output_vars: Mapping[Any, Any] | None = None,
    ) -> xr.Dataset:
        """Return a setup with inputs and outputs added or replaced; see `simherd.create_setup`."""
        outputs = _outputs_by_variable(output_vars or {}, self.clock_coords)
        return marks.to_theirs(native.update_vars(self._setup, _checked(model), input_vars, outputs))

    def reset_vars(self, model: Model | None = None) -> xr.Dataset:
        """Return a setup in which all inputs that have a default have it again."""
        return marks.to_theirs(native.reset_vars(self._setup, _checked(model)))

    def filter_vars(self, model: Model | None = None) -> xr.Dataset:
        """Return a setup with nothing but clocks and what the model has."""
        return marks.to_theirs(native.filter_vars(self._setup, _checked(model)))

    def run(
        self,
        model: Model | None = None,
        batch_dim: str | None = None,
        check_dims: str | None = "strict",
        validate: str | None = "inputs",
        store: Any = None,
        encoding: Mapping[str, Mapping[str, Any]] | None = None,
        decoding: Mapping[str, Any] | None = None,
        hooks: Iterable[Any] | None = None,
        parallel: bool = False,
        scheduler: Any = None,
        safe_mode: bool = True,
    ) -> xr.Dataset:
        """Run one simulation, or a batch of them; see `simherd.run`.

        Returns
        -------
        Dataset
            Inputs and outputs, and nothing else.
        """
        model = native.find_model(_checked(model))
        result = run(
            _with_their_clocks(self._ds),
            model,
            batch_dim=batch_dim,
            check_dims=check_dims,
            validate=validate,
            store=store,
            encoding=self._encoding(model, encoding or {}),
            decoding={name: value for name, value in (decoding or {}).items() if name != "group"},
            hooks=unregistered(hooks or ()),
            parallel=parallel,
            scheduler=scheduler_of(parallel, scheduler, is_batch=batch_dim is not None),
            safe_mode=safe_mode,
            progress=False,
        )
        result = self._as_result(result, model)
        return self._transposed_back(result) if check_dims == "transpose" else result

    def _encoding(self, model: Model, given: Mapping[str, Mapping[str, Any]]) -> dict[str, dict[str, Any]]:
        """Return how outputs are stored: as declared, else as given, without what Zarr 3 has no more."""
        by_key: dict[Key, Any] = {}
        for one in given.items():
            with suppress(UnknownNameError):
                by_key |= flatten_keys(dict([one]), model.graph)
        found = {}
        for key in self.output_vars:
            known = {*ENCODING_KEYS, *ZARR_2_KEYS}
            given_of_key = {k: v for k, v in by_key.get(key, {}).items() if k in known}
            found[join_name(key)] = {"layout": "padded", **given_of_key}
        return found

    def _as_result(self, result: xr.Dataset, model: Model) -> xr.Dataset:
        indexes = {name for _, name in model.index_vars}
        wanted = {*map(str, self._ds.variables), *map(join_name, self.output_vars), *indexes}
        result = marks.to_theirs(result.drop_vars([n for n in result.variables if n not in wanted]))
        # xarray-simlab's results have coordinates only where these label a dimension
        result = result.reset_coords([n for n in indexes if n in result.coords and n not in result.dims])
        result.attrs = {name: value for name, value in self._ds.attrs.items() if name != marks.OUTPUT_VARS}
        for variable in result.variables.values():
            for mark in (marks.OUTPUT_VARS, NONE_ATTR):
                variable.attrs.pop(mark, None)
            if not variable.ndim:
                variable.load()
        return result

    def _transposed_back(self, result: xr.Dataset) -> xr.Dataset:
        """Return a result whose outputs that are inputs too have these inputs' order of dimensions."""
        names = [n for n in map(join_name, self.output_vars) if n in self._ds.variables]
        for name in names:
            dims = result[name].dims
            given = [dim for dim in self._ds[name].dims if dim in dims]
            result[name] = result[name].transpose(*(dim for dim in dims if dim not in given), *given)
        return result


def create_setup(
    model: Model | None = None,
    clocks: Mapping[str, Any] | None = None,
    master_clock: str | Mapping[str, Any] | None = None,
    input_vars: Mapping[Any, Any] | None = None,
    output_vars: Mapping[Any, Any] | None = None,
    fill_default: bool = True,
) -> xr.Dataset:
    """Create a dataset with all that a simulation needs; see `simherd.create_setup`.

    Parameters
    ----------
    output_vars : mapping, optional
        Also in the deprecated form, outputs by clock.
    """
    outputs = _outputs_by_variable(output_vars or {}, clocks or {})
    return marks.to_theirs(
        native.create_setup(_checked(model), clocks, master_clock, input_vars, outputs, fill_default)
    )


def as_variable_key(key: Any) -> Key:
    """Return (process, variable) for that tuple or ``"process__variable"``.

    Raises
    ------
    ValueError
        If it is neither.
    """
    if isinstance(key, tuple) and len(key) == 2:
        return key
    process, _, name = key.partition("__") if isinstance(key, str) else ("", "", "")
    if not process or not name:
        raise ValueError(f"{key!r} is not a name of a variable: 'process__variable'.")
    return process, name


def _checked(model: Model | None) -> Model | None:
    if model is not None and not isinstance(model, Model):
        raise TypeError(f"{model!r} is not a Model.")
    return model


def _outputs_by_variable(outputs: Mapping[Any, Any], clocks: Iterable[str]) -> dict[Any, Any]:
    """Return outputs with their clocks, also where they are given as clocks with their outputs."""
    by_clock = [clock for clock in outputs if clock is None or clock in clocks]
    if by_clock:
        warn_user(
            "output_vars with clocks as keys is deprecated: give variables as keys, clocks as values.",
            FutureWarning,
        )
    found = {name: clock for name, clock in outputs.items() if name not in by_clock}
    for clock in by_clock:
        found |= dict.fromkeys(_variables(outputs[clock]), clock)
    return found


def _variables(given: Any) -> Iterator[Key]:
    if isinstance(given, Mapping):
        for process, names in given.items():
            yield from ((process, name) for name in ([names] if isinstance(names, str) else names))
    elif isinstance(given, str | tuple | list):
        yield from map(as_variable_key, given if isinstance(given, list) else [given])
    else:
        raise ValueError(f"{given!r} does not name output variables.")


def _with_their_clocks(dataset: xr.Dataset) -> xr.Dataset:
    """Return a setup for our own run that xarray-simlab knows too, as a store of it shall be."""
    ours = marks.to_ours(dataset)
    for name in native_clocks.clock_names(ours):
        theirs = {k: v for k, v in marks.to_theirs(ours)[name].attrs.items() if k != marks.OUTPUT_VARS}
        ours[name].attrs = {**ours[name].attrs, **theirs}
    return ours


def _filter_of(dataset: xr.Dataset) -> Callable[..., xr.Dataset]:
    def filter_variables(
        func: Callable[[xr.Variable], Any], like: None = None, regex: None = None
    ) -> xr.Dataset:
        """Return a dataset with only the variables for which `func` is true."""
        return dataset.drop_vars([name for name, v in dataset.variables.items() if not func(v)])

    return filter_variables


def _register() -> None:
    for name, accessor in (("xsimlab", SimlabAccessor), ("filter", _filter_of)):
        if not hasattr(xr.Dataset, name):
            xr.register_dataset_accessor(name)(accessor)  # type: ignore[no-untyped-call]  # xarray's


_register()
