"""The rules of the house: how large things may be, and which room of the package may know which.

Read from the source, without importing it. A test of our own rather than import-linter: half of the
rules are not about imports, and it needs no dependency.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import NamedTuple

import pytest

_PACKAGE = Path(__file__).parent.parent / "logplex_handler"

MOST_ENTRIES = 28
MOST_LINES = 320
MOST_ATTRIBUTES = 18

# From the bottom to the top. A room, or a module that stands alone, imports only what stands on a
# line above its own. The names of a line do not import each other.
ORDER = """
    errors stats
    _process
    _wire
    metrics
    _formatting
    formatter
    _buffer
    _transport
    _spool
    _relay
    _sender
    streams
    heroku
    _delivery
    handler
    reports sigterm
    process_metrics prometheus opentelemetry
    __init__
    testing
    pytest_plugin
    receiver
    cli
    __main__
"""
_LEVELS = {
    name: level for level, line in enumerate(ORDER.strip().splitlines()) for name in line.split()
}
# `exec` makes functions of templates here, and nowhere else.
_MAY_EXEC = {"_formatting/codegen.py"}


class _Module(NamedTuple):
    path: Path
    # All of its syntax: each rule passes over it.
    nodes: list[ast.AST]

    @property
    def name(self) -> str:
        """Its path inside the package."""
        return self.path.relative_to(_PACKAGE).as_posix()

    @property
    def room(self) -> str:
        return self.name.split("/")[0].removesuffix(".py")


@cache
def _modules() -> list[_Module]:
    paths = sorted(_PACKAGE.rglob("*.py"))
    return [_Module(path, [*ast.walk(ast.parse(path.read_text()))]) for path in paths]


def _classes(module: _Module) -> list[ast.ClassDef]:
    return [node for node in module.nodes if isinstance(node, ast.ClassDef)]


def _is_record(node: ast.ClassDef) -> bool:
    """Whether the annotated names are fields of its objects (those of a TypedDict are keys)."""
    decorators = " ".join(map(ast.unparse, node.decorator_list))
    return "dataclass" in decorators or "NamedTuple" in map(ast.unparse, node.bases)


def _slots(node: ast.ClassDef) -> set[str]:
    for statement in node.body:
        if isinstance(statement, ast.Assign) and ast.unparse(statement.targets[0]) == "__slots__":
            slots = ast.literal_eval(statement.value)
            return {slots} if isinstance(slots, str) else set(slots)
    return set()


def _attributes(node: ast.ClassDef) -> set[str]:
    """The attributes that objects of the class have of their own."""
    found = _slots(node)
    if _is_record(node):
        fields = [one.target for one in node.body if isinstance(one, ast.AnnAssign)]
        found |= {field.id for field in fields if isinstance(field, ast.Name)}
    for inner in ast.walk(node):
        if (
            isinstance(inner, ast.Attribute)
            and isinstance(inner.ctx, ast.Store)
            and isinstance(inner.value, ast.Name)
            and inner.value.id == "self"
        ):
            found.add(inner.attr)
    return found


def _class_names(node: ast.ClassDef) -> set[str]:
    """All names that the class defines for its objects: attributes, methods and class variables."""
    found = _attributes(node)
    for statement in node.body:
        if isinstance(statement, ast.FunctionDef | ast.AsyncFunctionDef):
            found.add(statement.name)
        elif isinstance(statement, ast.AnnAssign) and isinstance(statement.target, ast.Name):
            found.add(statement.target.id)
        elif isinstance(statement, ast.Assign):
            found |= {one.id for one in statement.targets if isinstance(one, ast.Name)}
    return found


def _imported(module: _Module) -> Iterator[tuple[str, ...]]:
    """What the module imports of the package, as parts of dotted names; also inside functions."""
    for node in module.nodes:
        dotted = []
        if isinstance(node, ast.Import):
            dotted = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert not node.level, f"{module.name}: a relative import"
            dotted = [f"{node.module}.{alias.name}" for alias in node.names]
        for name in dotted:
            package, *parts = name.split(".")
            if package == "logplex_handler":
                yield tuple(parts)


def _room_of(imported: tuple[str, ...]) -> str:
    """The room of an imported name; what only the package's own `__init__` has is in none."""
    return imported[0] if imported and imported[0] in _LEVELS else "__init__"


def _is_private(name: str) -> bool:
    return name.startswith("_") and not name.endswith("__")


def _entries() -> set[str]:
    return {path.name for path in _PACKAGE.iterdir() if path.name != "__pycache__"}


def _too_long() -> Iterator[str]:
    for module in _modules():
        lines = len(module.path.read_text().splitlines())
        if lines > MOST_LINES:
            yield f"{module.name} has more than {MOST_LINES} lines"


def _too_many_attributes() -> Iterator[str]:
    for module in _modules():
        for node in _classes(module):
            if len(_attributes(node)) > MOST_ATTRIBUTES:
                yield f"{module.name}: {node.name} has more than {MOST_ATTRIBUTES} attributes"


def _undescribed() -> Iterator[str]:
    for room in {module.path.parent for module in _modules()}:
        init = room / "__init__.py"
        docstring = ast.get_docstring(ast.parse(init.read_text())) if init.exists() else None
        if not docstring:
            yield f"{room.name}/ has no __init__ with a docstring"
        elif room != _PACKAGE:
            modules = [f"`{path.stem}`" for path in room.glob("*.py") if path != init]
            for part in ("\nComes in: ", "\nGoes out: ", "\nMust not know: ", *modules):
                if part not in docstring:
                    yield f"{room.name}/ has no {part.strip()} in the docstring of its __init__"


def _upward_imports() -> Iterator[str]:
    for module in _modules():
        for imported in _imported(module):
            other = _room_of(imported)
            if other != module.room and _LEVELS[other] >= _LEVELS[module.room]:
                yield f"{module.name} imports {other}"


def _private_imports() -> Iterator[str]:
    for module in _modules():
        for imported in _imported(module):
            other = _room_of(imported)
            # The name of a room may itself begin with an underscore.
            inside = imported[1:] if imported and imported[0] == other else imported
            if other != module.room and any(map(_is_private, inside)):
                yield f"{module.name} imports {'.'.join(imported)}"


def _private_modules_named_wrong() -> Iterator[str]:
    """In a public room an underscore says that only the room itself imports a module."""
    used_outside = {
        imported[:2]
        for module in _modules()
        for imported in _imported(module)
        if imported and imported[0] != module.room
    }
    for module in _modules():
        room, slash, rest = module.name.removesuffix(".py").partition("/")
        if not slash or room.startswith("_") or rest == "__init__":
            continue
        if _is_private(rest) == ((room, rest) in used_outside):
            yield f"{module.name} has {'an' if _is_private(rest) else 'no'} underscore"


def _private_attributes() -> Iterator[str]:
    """Of other objects than its own, a module touches only what one of its own classes defines."""
    # Names of libraries that begin with an underscore: of a NamedTuple; of a connection of
    # urllib3's, where the name that is looked up differs from the one that is asked for; and of a
    # lock that a Condition releases.
    allowed = {"_asdict", "_fields", "_replace", "_dns_host"}
    allowed |= {"_acquire_restore", "_is_owned", "_release_save"}
    for module in _modules():
        own = set[str]().union(*map(_class_names, _classes(module)))
        libraries = {
            alias.asname or alias.name
            for node in module.nodes
            if isinstance(node, ast.Import)
            for alias in node.names
        }
        for node in module.nodes:
            if isinstance(node, ast.Attribute) and _is_private(node.attr):
                of = ast.unparse(node.value)
                is_own = of in ("self", "cls", "super()") or node.attr in own
                if not is_own and of not in libraries and node.attr not in allowed:
                    yield f"{module.name} touches {of}.{node.attr}"


def _makes_code() -> Iterator[str]:
    for call in (*_calls_of("exec"), *_calls_of("eval")):
        if call.split()[0] not in _MAY_EXEC:
            yield call


def _calls_of(name: str) -> Iterator[str]:
    for module in _modules():
        for node in module.nodes:
            if isinstance(node, ast.Call) and getattr(node.func, "id", None) == name:
                yield f"{module.name} calls {name}"


def test_the_package_has_few_entries_and_each_has_its_place_in_the_order():
    entries = _entries()
    assert len(entries) <= MOST_ENTRIES
    assert {entry.removesuffix(".py") for entry in entries} == {*_LEVELS, "py.typed"}


_RULES = {
    "modules-are-short": _too_long,
    "classes-have-few-attributes": _too_many_attributes,
    "rooms-say-what-they-are": _undescribed,
    "imports-go-one-way": _upward_imports,
    "private-names-are-not-imported": _private_imports,
    "underscores-say-who-imports": _private_modules_named_wrong,
    "private-attributes-are-not-touched": _private_attributes,
    "no-function-looks-at-its-variables": lambda: _calls_of("locals"),
    "code-is-made-in-one-place": _makes_code,
}


@pytest.mark.parametrize("rule", _RULES)
def test_a_rule_of_the_house_holds(rule):
    assert {*_RULES[rule]()} == set()


# For each rule, a module that breaks it, and its text.
_BROKEN = {
    "modules-are-short": ("_wire/frames.py", "a = 1\n" * (MOST_LINES + 1)),
    "classes-have-few-attributes": (
        "_wire/frames.py",
        "class A:\n    def f(self):\n"
        + "".join(f"        self.a{n} = 1\n" for n in range(MOST_ATTRIBUTES + 1)),
    ),
    "rooms-say-what-they-are": ("_wire/__init__.py", ""),
    "imports-go-one-way": (
        "_wire/frames.py",
        "def f():\n    from logplex_handler._buffer import limits\n",
    ),
    "private-names-are-not-imported": (
        "cli/_send.py",
        "from logplex_handler.receiver._page import Page\n",
    ),
    "underscores-say-who-imports": ("receiver/page.py", ""),
    "private-attributes-are-not-touched": ("sigterm.py", "def f(one):\n    one._options\n"),
    "no-function-looks-at-its-variables": ("sigterm.py", "def f():\n    return locals()\n"),
    "code-is-made-in-one-place": ("sigterm.py", "exec('1')\n"),
}


_INIT = '''"""A room.

Comes in: a
Goes out: b
Must not know: c

- `{}`
"""
'''


@pytest.mark.parametrize("rule", _RULES)
def test_a_rule_sees_what_breaks_it(rule, tmp_path, monkeypatch):
    """And nothing else is wrong with the package that breaks it."""
    name, text = _BROKEN[rule]
    module = tmp_path / name
    module.parent.mkdir(exist_ok=True)
    for folder in {tmp_path, module.parent}:
        (folder / "__init__.py").write_text(_INIT.format(module.stem))
    module.write_text(text)
    monkeypatch.setattr("tests.test_house._PACKAGE", tmp_path)
    _modules.cache_clear()
    try:
        assert [found for found in _RULES if [*_RULES[found]()]] == [rule]
    finally:
        _modules.cache_clear()
