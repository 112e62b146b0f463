"""The program of a worker job: Dask's command, with a folder of its own that ends with it."""

from __future__ import annotations

import argparse
import shutil
import sys
from collections.abc import Sequence

from simherd.clusters.scratch import make_worker_folder
from simherd.clusters.versions import check_versions
from simherd.errors import ClusterError

__all__ = ["main"]

OPTION = "--local-directory"


def main(arguments: Sequence[str] | None = None) -> None:
    """Run ``dask worker`` with its arguments, with a new folder in ``--local-directory`` for all its files.

    Dask by itself leaves files in a folder that all its processes of the machine share.

    Raises
    ------
    SystemExit
        At the end, and at once where the workers would run with other versions than the client.
    """
    parser = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    parser.add_argument(OPTION)
    ours, others = parser.parse_known_args(arguments)
    try:
        check_versions()
    except ClusterError as error:
        sys.exit(str(error))
    import dask
    from distributed.cli.dask_worker import main as dask_worker

    folder = make_worker_folder(ours.local_directory or dask.config.get("temporary-directory", None))
    try:
        dask_worker([*others, OPTION, folder])
    finally:
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    main()
