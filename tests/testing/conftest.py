"""A receiver for each test."""

from __future__ import annotations

import pytest

from logplex_handler.testing import LogplexReceiver


@pytest.fixture
def logplex():
    with LogplexReceiver() as receiver:
        yield receiver
