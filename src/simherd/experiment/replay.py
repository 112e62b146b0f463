"""One simulation of a store again, with the model that the store names."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from simherd.errors import SetupError
from simherd.experiment.loading import load_model
from simherd.store.signing import is_signed, sign_text

if TYPE_CHECKING:
    import xarray as xr

    from simherd.model.model import Model

__all__ = ["model_attrs", "model_named_in", "replay", "trusted_model_in"]

MODEL_ATTR = "simherd_model"
SIGNATURE_ATTR = "simherd_model_signature"


def replay(
    store: str | Path,
    number: int,
    model: Model | None = None,
    *,
    input_vars: Mapping[Any, Any] | None = None,
    validate: str | None = "inputs",
) -> xr.Dataset:
    """Run one simulation of a store again, in this process, for instance in a debugger.

    It has the inputs of the store, the position in the batch that it had, and the same random numbers.
    Nothing is written. The model may have been changed meanwhile: so it can be seen whether that helps.

    Parameters
    ----------
    store : path
        The store of a batch.
    number : int
        Position of the simulation in the batch, from 0.
    model : Model, optional
        The model. By default that of ``with model:``, then the one that the store names, which those of
        ``simherd run`` do. It is loaded only if a run of your own has written that name here.
    input_vars : mapping, optional
        Inputs in place of those in the store, in the forms of `create_setup`: to try another value, or for
        objects that a store cannot hold.
    validate : {"inputs", "all", None}, optional
        When validators are called, see `run`.

    Returns
    -------
    Dataset
        Inputs and outputs of the simulation.

    Raises
    ------
    Exception
        What the simulation raises.
    StoreError
        If it is no store of a batch.
    SetupError
        If there is no such simulation or no model, the store of another user names one, or the model does not
        fit the inputs.
    ExperimentError
        If the model that the store names cannot be loaded.

    Notes
    -----
    A simulation that ended its worker process ends this one too; ``python -X faulthandler`` says where.
    """
    from simherd.api.replay import replay_with
    from simherd.model.model import active_model
    from simherd.store.places import as_folder

    folder = as_folder(store)  # before a model is loaded, whose module may change the working folder
    model = model or active_model() or _load(folder)
    return replay_with(model, folder, number, input_vars, validate)


def model_attrs(name: str) -> dict[str, str]:
    """Return attributes of a store that name its model, signed so that `replay` loads it."""
    signature = sign_text(MODEL_ATTR, name)
    return {MODEL_ATTR: name, **({} if signature is None else {SIGNATURE_ATTR: signature})}


def trusted_model_in(store: Path) -> str | None:
    """Return the model that a store names, if a run of this user has written the name.

    Raises
    ------
    StoreError
        If it is no store.
    """
    from simherd.store.reading import open_store

    attrs = open_store(store).attrs
    name = attrs.get(MODEL_ATTR)
    is_own = isinstance(name, str) and is_signed(MODEL_ATTR, name, attrs.get(SIGNATURE_ATTR))
    return str(name) if is_own else None


def model_named_in(store: Path) -> str | None:
    """Return the model that a store names, as ``module:attribute`` or ``/path/to/file.py:attribute``.

    Raises
    ------
    StoreError
        If it is no store.
    """
    from simherd.store.reading import open_store

    name = open_store(store).attrs.get(MODEL_ATTR)
    return None if name is None else str(name)


def _load(store: Path) -> Model:
    name = trusted_model_in(store)
    if name is None:
        named = model_named_in(store)
        found = "does not name its model" if named is None else f"names the model {named!r}"
        reason = "" if named is None else ", but no run of yours has written that, and loading it runs code"
        raise SetupError(
            f"The store {str(store)!r} {found}{reason}.", fix="give it: replay(store, number, model)."
        )
    model: Model = load_model(name, Path.cwd())
    return model
