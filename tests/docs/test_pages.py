"""Every code block of the pages runs or is part of a file that does; no link is broken."""

from __future__ import annotations

import ast
import builtins
import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest

import logplex_handler.heroku
import logplex_handler.testing
from logplex_handler.testing import LogplexReceiver
from tests.commands import run_program
from tests.docs.blocks import DOCS, EXAMPLES, Block, blocks, name, pages, pattern

# What `test_programs` and `.ci/run` run.
RUN_ELSEWHERE = ("server", "worker", "client", "demo command", "test command", "not run: ")
CODE = ("python", "sh", "console", "bash", "shell", "")

# Runs a page's blocks, each with names of its own unless it continues those before, and writes what
# each prints.
INTERPRETER = """
import contextlib, io, json, sys
printed, all_names = [], {}
for line, source, continues in json.load(sys.stdin):
    names = all_names if continues else {"__name__": "__main__"}
    output = io.StringIO()
    with contextlib.redirect_stdout(output):
        exec(compile("\\n" * line + source, PAGE, "exec"), names)
    printed.append(output.getvalue())
    all_names.update(names)
print(json.dumps(printed))
"""


def _all_pages() -> list[object]:
    return [pytest.param(page, id=name(page)) for page in pages()]


def _is_python(block: Block) -> bool:
    return block.language == "python" and block.title is None and not _is_elsewhere(block)


def _is_elsewhere(block: Block) -> bool:
    return str(block.says).startswith(RUN_ELSEWHERE)


def _example(page: Path) -> Path:
    return EXAMPLES / page.stem.replace("-", "_")


@pytest.fixture
def logplex() -> Iterator[LogplexReceiver]:
    """The stream that a page's blocks send to, by the rules."""
    with LogplexReceiver() as receiver:
        yield receiver
        assert not receiver.violations


@pytest.fixture
def environ(logplex: LogplexReceiver) -> dict[str, str]:
    """An environment with that stream."""
    environ = {key: value for key, value in os.environ.items() if "LOGPLEX_" not in key}
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    return environ | {"LOGPLEX_URL": logplex.url, "PATH": path, "PYTHONUTF8": "1"}


def _output(command: list[str], environ: dict[str, str], cwd: Path) -> str:
    finished = subprocess.run(
        command,
        env=environ,
        cwd=cwd,
        capture_output=True,
        encoding="utf-8",
        timeout=100,
        check=False,
    )
    assert finished.returncode == 0, finished.stderr
    return finished.stdout


@pytest.mark.parametrize("page", _all_pages())
def test_every_block_is_run(
    page: Path, environ: dict[str, str], logplex: LogplexReceiver, tmp_path: Path
) -> None:
    """Each block prints and sends what its page shows."""
    of_page = blocks(page)
    has_example = _example(page).is_dir()
    for block in of_page:
        if block.title is not None and not has_example:
            path = tmp_path / block.title
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(block.text, encoding="utf-8")
    python = [block for block in of_page if _is_python(block)]
    program = INTERPRETER.replace("PAGE", repr(name(page)))
    sources = json.dumps([(block.line, block.text, block.continues) for block in python])
    printed: list[str] = []
    if python:
        finished = run_program("-c", program, env=environ, stdin=sources, cwd=tmp_path, warns=True)
        assert finished.returncode == 0, finished.stderr
        printed = json.loads(finished.stdout.splitlines()[-1])
    outputs = iter(printed)
    output = ""
    for block in of_page:
        if _is_python(block):
            output = next(outputs)
        elif block.says == "run":
            output = _output(["bash", "-euc", block.text], environ, tmp_path)
        elif block.says == "prints":
            expected = pattern(block.text.strip())
            assert re.fullmatch(expected, output.strip(), re.DOTALL), output
        elif block.says == "sends":
            assert set(block.text.splitlines()) <= {line.text for line in logplex.lines}
        elif block.language in CODE and block.title is None:
            assert _is_elsewhere(block), f"nobody runs the block at line {block.line}"


@pytest.mark.parametrize("page", _all_pages())
def test_a_block_with_a_title_is_part_of_the_example(page: Path) -> None:
    """The page shows the same code that the tests run."""
    if not _example(page).is_dir():
        return
    for block in blocks(page):
        if block.title is not None:
            source = (_example(page) / block.title).read_text(encoding="utf-8")
            text = block.text
            if block.language == "python":
                assert _imported(text) <= _imported(source), f"line {block.line}: {block.title}"
                text = _without_imports(text)
            assert f"\n{text}" in f"\n{source}", f"line {block.line} is not in {block.title}"


def test_a_block_imports_what_it_uses() -> None:
    """It can be copied by itself, unless it says that it continues another one."""
    missing = {}
    for page in pages():
        before: set[str] = set()
        for block in blocks(page):
            if block.language == "python" and not str(block.says).startswith("not run: gen"):
                used, defined, imported = _names(block.text)
                known = defined | imported | set(dir(builtins))
                if undefined := used - known - (before if block.continues else set()):
                    missing[name(page), block.line] = undefined
                before |= defined
    assert not missing


def test_a_page_has_all_of_its_example() -> None:
    """Nothing has to be guessed, but for what `django-admin startproject` makes."""
    missing = {}
    for page in pages():
        made = {"manage.py", "settings.py", "wsgi.py"} if page.stem == "django" else set()
        for file in [file for file in _example(page).rglob("*.py") if file.name not in made]:
            title = str(file.relative_to(_example(page)))
            shown = "".join(block.text for block in blocks(page) if block.title == title)
            code = _without_imports(file.read_text(encoding="utf-8")).splitlines()
            if lines := set(code) - set(shown.splitlines()) - {""}:
                missing[name(page), title] = lines
    # Its page says that it shows parts.
    for part in [key for key in missing if key[0] == "docs/testing.md"]:
        del missing[part]
    assert not missing


def test_a_page_leads_to_its_example() -> None:
    """The whole program is there."""
    for page in pages():
        examples = [EXAMPLES / f"{page.stem}.py", _example(page)]
        for example in filter(Path.exists, examples):
            text = page.read_text(encoding="utf-8")
            assert f"/examples/{example.name}" in text, name(page)


def _names(source: str) -> tuple[set[str], set[str], set[str]]:
    """The names that a block uses, defines and imports, whatever their scopes."""
    used, defined, imported = set(), set(), set()
    for node in ast.walk(ast.parse(source)):
        match node:
            case ast.Name(ctx=ast.Load()):
                used.add(node.id)
            case ast.Name():
                defined.add(node.id)
            case ast.FunctionDef() | ast.AsyncFunctionDef() | ast.ClassDef():
                defined.add(node.name)
            case ast.arg():
                defined.add(node.arg)
            case ast.ExceptHandler(name=str(caught)):
                defined.add(caught)
            case ast.alias():
                imported.add((node.asname or node.name).split(".")[0])
    return used, defined, imported


def _imported(source: str) -> set[tuple[str | None, str]]:
    """The modules and names that a file imports."""
    return {
        (getattr(node, "module", None), alias.name)
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.Import | ast.ImportFrom)
        for alias in node.names
    }


def _without_imports(source: str) -> str:
    """What comes after the module's docstring and the first imports."""
    module = ast.parse(source)
    for node in module.body[ast.get_docstring(module) is not None :]:
        if not isinstance(node, ast.Import | ast.ImportFrom):
            lines = source.splitlines(keepends=True)
            decorators = getattr(node, "decorator_list", [])
            first = min([node.lineno, *[decorator.lineno for decorator in decorators]])
            # A comment above it belongs to it.
            while first > 1 and lines[first - 2].startswith("#"):
                first -= 1
            return "".join(lines[first - 1 :])
    return ""


@pytest.mark.parametrize(
    "module", [logplex_handler, logplex_handler.heroku, logplex_handler.testing]
)
def test_every_public_name_is_in_the_reference(module: ModuleType) -> None:
    """Each name appears with its docstring."""
    reference = (DOCS / "reference.md").read_text(encoding="utf-8")
    for public in module.__all__:
        assert f"::: {module.__name__}.{public}\n" in reference, public
        assert getattr(module, public).__doc__, public


@pytest.mark.parametrize("page", _all_pages())
def test_links_to_files_lead_somewhere(page: Path) -> None:
    """Those within the repository; headings are checked when the site is built."""
    for link in re.findall(r"\]\(([^)#\s]+)", page.read_text(encoding="utf-8")):
        assert link.startswith("https://") or (page.parent / link).exists(), link
