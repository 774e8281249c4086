"""Every way to set the handler up, and what becomes of each setting, good or bad."""

import pytest

# A failed assertion of a shared helper shows its values, as one of a test does.
pytest.register_assert_rewrite("tests.configuration.shared")
