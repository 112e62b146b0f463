"""What can be written as a store: folders, and every store of Zarr that can replace what it holds."""

from __future__ import annotations

import fsspec
import numpy as np
import pytest
import xarray as xr
import zarr
from zarr.storage import FsspecStore, LocalStore, MemoryStore, ObjectStore, ZipStore

import simherd as sh
from simherd.errors import StoreError, StoreExistsError

GAINS = [1.0, 2.0, 3.0]
HEIGHTS = [3.0, 6.0, 9.0]


@pytest.fixture
def run(walk):
    """Return a function that writes a batch, or a single simulation, to a store, and what ran."""
    ran = []

    @sh.runtime_hook("initialize")
    def count(model, context, state):
        ran.append(state)

    def write(store, gains=GAINS, **options):
        batch_dim = "member" if np.ndim(gains) else None
        return walk.setup(gains).simherd.run(
            walk.model, batch_dim=batch_dim, store=store, hooks=[count], **options
        )

    write.ran = ran
    return write


def in_obstore(_):
    return ObjectStore(pytest.importorskip("obstore.store").MemoryStore())


def in_icechunk(_):
    icechunk = pytest.importorskip("icechunk")
    repository = icechunk.Repository.create(icechunk.in_memory_storage())
    return repository.writable_session("main").store


STORES = {
    "dict": lambda _: {},
    "fsspec": lambda folder: FsspecStore.from_url(f"memory://{folder}"),
    "mapper of memory": lambda folder: fsspec.get_mapper(f"memory://{folder}"),
    "mapper of files": lambda folder: fsspec.get_mapper(str(folder / "out.zarr")),
    "folder": lambda folder: LocalStore(folder / "out.zarr"),
    "group": lambda folder: zarr.open_group(folder / "out.zarr", mode="w").create_group("inner"),
    "obstore": in_obstore,
    "icechunk": in_icechunk,
}


@pytest.mark.parametrize("kind", STORES)
def test_stores_of_zarr_are_written_and_replaced(run, tmp_path, kind):
    store = STORES[kind](tmp_path)

    assert run(store).walk__height[:, -1].values.tolist() == HEIGHTS
    with pytest.raises(StoreExistsError, match=r"already contains .*overwrite=True"):
        run(store, 5.0)
    ran = len(run.ran)
    assert run(store, 5.0, overwrite=True).walk__height[-1] == 15.0
    assert len(run.ran) == ran + 1


@pytest.mark.parametrize("kind", ["dict", "obstore"])
def test_chunks_are_named_as_zarr_names_them_off_the_file_system(run, tmp_path, kind):
    store = STORES[kind](tmp_path)
    run(store)

    group = zarr.open_group(store)
    keys = {array.metadata.chunk_key_encoding.separator for _, array in group.arrays()}
    assert keys == {"/"}


def test_committed_results_are_read_back(run):
    icechunk = pytest.importorskip("icechunk")
    repository = icechunk.Repository.create(icechunk.in_memory_storage())
    session = repository.writable_session("main")

    run(session.store)
    session.commit("a batch")

    found = xr.open_zarr(repository.readonly_session("main").store, consolidated=False)
    assert found.walk__height[:, -1].values.tolist() == HEIGHTS


REFUSED = {
    "format 2": (lambda _: zarr.open_group(MemoryStore(), mode="w", zarr_format=2), "Zarr format 2"),
    "zip": (lambda folder: ZipStore(folder / "out.zip", mode="w"), "ZipStore: it cannot replace"),
    "read-only": (lambda _: MemoryStore(read_only=True), "it is read-only"),
    "array": (
        lambda folder: zarr.create_array(folder / "a", shape=1, dtype="f8").store,
        "array already exists",
    ),
    "number": (lambda _: 3, "store of type int"),
    "netCDF": (lambda folder: folder / "out.nc", r"folder, not a file of the kind '\.nc'.*to_netcdf"),
    "zip file": (lambda folder: str(folder / "OUT.ZIP"), r"folder, not a file of the kind '\.zip'.*pack"),
    "archive": (lambda folder: folder / "out.tar.gz", r"not a file of the kind '\.gz'"),
    "address": (lambda _: "s3://bucket/out.zarr", r"a text is the path of a folder.*FsspecStore\.from_url"),
}


@pytest.mark.parametrize("kind", REFUSED)
@pytest.mark.parametrize("gains", [GAINS, 1.0])
def test_what_cannot_be_written_is_refused_before_anything_runs(run, tmp_path, kind, gains):
    make, said = REFUSED[kind]

    with pytest.raises(StoreError, match=said) as caught:
        run(make(tmp_path), gains)
    assert "\n" not in str(caught.value)
    assert not run.ran


def test_a_store_that_fails_while_it_is_written_is_one_error(run):
    class Full(MemoryStore):
        async def set(self, key, value, byte_range=None):
            if "walk__height/c" in key:
                raise ConnectionResetError("the other end has gone")
            await super().set(key, value, byte_range)

    class Odd(Full):
        async def set(self, key, value, byte_range=None):
            try:
                await super().set(key, value, byte_range)
            except OSError as error:
                raise RuntimeError("throttled") from error

    with pytest.raises(StoreError, match="Cannot write simulations 0 to 0 of the store: the other end"):
        run(Full(), block_size=1)
    with pytest.raises(StoreError, match="Cannot write to a store of type Odd: throttled"):
        run(Odd(), block_size=1)
