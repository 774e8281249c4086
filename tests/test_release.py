"""What the release workflow runs; the version is defined in one place."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import zipfile
from importlib import metadata
from pathlib import Path

import pytest

from logplex_handler._process.version import __version__

ROOT = Path(__file__).parents[1]


def run(script, *arguments):
    command = [sys.executable, ROOT / ".ci" / script, *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=100, check=False)


@pytest.fixture
def copy(tmp_path):
    """Copies the files that the scripts read, and runs the one for a tag there."""
    for name in (".ci", "logplex_handler"):
        shutil.copytree(ROOT / name, tmp_path / name)
    shutil.copy(ROOT / "CHANGELOG.md", tmp_path)
    changelog = tmp_path / "CHANGELOG.md"

    def for_tag(tag, dated=True):
        text = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
        dates = f"## [{__version__}] - 2027-01-01" if dated else "## [Unreleased]"
        heading = re.escape(f"## [{__version__}]")
        changelog.write_text(re.sub(f"{heading}.*", dates, text), encoding="utf-8")
        command = [sys.executable, tmp_path / ".ci" / "release_version.py", tag]
        return subprocess.run(command, capture_output=True, text=True, timeout=100, check=False)

    return for_tag


def test_a_release_is_tag_version_and_changelog(copy):
    """The three agree, and the changelog has the date."""
    assert copy(f"v{__version__}").returncode == 0


@pytest.mark.parametrize(
    ("tag", "dated", "says"), [("v99.0", True, "v99.0"), (f"v{__version__}", False, "CHANGELOG")]
)
def test_no_release_where_they_do_not_agree(copy, tag, dated, says):
    """It says which of them is wrong."""
    finished = copy(tag, dated)
    assert finished.returncode == 1
    assert says in finished.stderr


def test_the_version_has_one_place():
    """The installed package has the same version."""
    assert metadata.version("logplex-handler") == __version__
    setup = (ROOT / "setup.cfg").read_text(encoding="utf-8")
    assert "version = attr: logplex_handler._process.version.__version__" in setup


@pytest.mark.parametrize(
    ("left_out", "added", "says"),
    [
        (None, None, ""),
        ("logplex_handler/py.typed", None, "py.typed"),
        (None, "tests/__init__.py", "tests/__init__.py"),
    ],
)
def test_a_wheel_holds_the_package_and_nothing_else(tmp_path, left_out, added, says):
    """Missing and extra files are named."""
    package = ROOT / "logplex_handler"
    names = [str(path.relative_to(ROOT)) for path in package.rglob("*") if path.is_file()]
    names = [name for name in names if not name.endswith(".pyc") and name != left_out]
    names += [f"x.dist-info/{name}" for name in ("METADATA", "RECORD", "WHEEL", "licenses/LICENSE")]
    wheel = tmp_path / "x.whl"
    with zipfile.ZipFile(wheel, "w") as archive:
        for name in [*names, *([added] if added else [])]:
            archive.writestr(name, "")
    finished = run("wheel_content.py", wheel)
    assert finished.returncode == (1 if says else 0), finished.stderr
    assert says in finished.stderr
