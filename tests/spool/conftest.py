"""A path for a spool, and an application whose processes share one."""

from __future__ import annotations

import pytest

from tests.servers import serving
from tests.spool.killed import SHOP, Story


@pytest.fixture
def spool(tmp_path):
    return tmp_path / "spool.db"


@pytest.fixture
def story(tmp_path):
    """In a folder of its own, with the shop."""
    (tmp_path / "shop.py").write_text(SHOP)
    with serving() as server:
        story = Story(tmp_path, server)
        server.steps.append(story.step)
        yield story
