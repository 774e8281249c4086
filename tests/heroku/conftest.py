"""The partner's example; and look-ups in one process, which do not wait for other processes."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path

import pytest

from logplex_handler.heroku import _look_up


@pytest.fixture(autouse=True)
def _no_other_processes(monkeypatch):
    monkeypatch.setattr(_look_up, "_MAX_SPREAD", 0.0)


@pytest.fixture
def example(monkeypatch):
    path = Path(__file__).parents[2] / "examples" / "addon_partner.py"
    spec = importlib.util.spec_from_file_location("addon_partner_example", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, spec.name, module)
    spec.loader.exec_module(module)
    return module
