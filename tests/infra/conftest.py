"""Programs that the tests of this folder ask."""

import os
import shutil

import pytest


@pytest.fixture
def promtool() -> str:
    """Where promtool is; without it a skip, in CI a failure."""
    found = shutil.which("promtool")
    if found is None:
        reason = "promtool not found (Debian: prometheus)"
        if os.environ.get("CI") == "true":
            pytest.fail(reason)
        pytest.skip(reason)
    return found
