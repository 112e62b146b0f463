"""``python -m simherd``: the command line."""

from __future__ import annotations

from simherd.cli import main

if __name__ == "__main__":
    main()
