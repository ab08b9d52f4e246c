import pytest
from hypothesis import settings

pytest.register_assert_rewrite("tests.checks")
settings.register_profile("house", deadline=None)
settings.load_profile("house")
