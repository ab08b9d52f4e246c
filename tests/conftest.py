import pytest
from hypothesis import settings

import tests.fuzz  # noqa: F401  (it takes its variable out of the environment)

pytest.register_assert_rewrite("tests.checks", "tests.fault")
settings.register_profile("house", deadline=None)
settings.load_profile("house")
