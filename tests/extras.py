"""Libraries that only some tests need."""

import os
from importlib import import_module

import pytest


def require(*modules: str) -> None:
    """Skip the module that asks where one of these is absent; in CI fail."""
    for module in modules:
        try:
            import_module(module)
        except ImportError as error:
            if os.environ.get("CI") == "true":
                raise
            pytest.skip(f"{error}; make setup", allow_module_level=True)
