"""Draw the picture of an example: ``python -m simherd.examples NAME STORE PICTURE``."""

from __future__ import annotations

import sys

from simherd.errors import SimherdError, close_matches

PICTURES = ("influenza", "jacksboro")


def main(arguments: list[str]) -> str:
    """Draw a picture and return what to say."""
    if len(arguments) != 3:
        return "Usage: python -m simherd.examples NAME STORE PICTURE"
    name, store, path = arguments
    if name not in PICTURES:
        return f"There is no example {name!r}. {close_matches(name, PICTURES)}"
    import xarray as xr

    from simherd.examples import pictures

    draw = {"influenza": pictures.draw_influenza, "jacksboro": pictures.draw_jacksboro}[name]
    try:
        with xr.open_zarr(store) as result:
            draw(result, path)
    except (SimherdError, FileNotFoundError) as error:
        return f"Error: {error}"
    sys.stdout.write(f"wrote {path}\n")
    return ""


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]) or 0)
