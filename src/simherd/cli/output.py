"""The one way in which the command line prints, so that no text of a store or job acts on the terminal."""

from __future__ import annotations

import click

from simherd.control_characters import without_controls

__all__ = ["say"]


def say(text: object, *, err: bool = False, nl: bool = True) -> None:
    """Print a text without control characters.

    Parameters
    ----------
    text : object
        What to print.
    err : bool, optional
        Print it to standard error.
    nl : bool, optional
        End the line.
    """
    click.echo(without_controls(str(text)), err=err, nl=nl)
