"""What can go wrong, each also the built-in exception that fits.

A message names the thing, what was expected, what came, and the remedy.
"""

__all__ = ["MissingVersionError", "OodlError", "ShapeError", "ValueFault"]


class OodlError(Exception):
    """Any problem that this project reports by name."""


class ShapeError(OodlError, ValueError):
    """An array has another shape than its place asks for."""


class ValueFault(OodlError, ValueError):  # noqa: N818  (a fault in a value, as numpy and msgspec say it)
    """An argument lies outside what its place allows."""


class MissingVersionError(OodlError, LookupError):
    """A code names a dictionary that the reader does not have."""
