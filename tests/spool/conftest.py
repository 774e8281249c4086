"""Fixtures of the tests of the spool."""

from __future__ import annotations

import pytest


@pytest.fixture
def spool(tmp_path):
    return tmp_path / "spool.db"
