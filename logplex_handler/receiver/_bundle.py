"""The page's modules as one script, and its style sheets as one: 4 requests in place of 40.

Each module becomes a function that returns what the module exports. Imports and exports must be
those that the page uses, each on one line.
"""

from __future__ import annotations

import re
from pathlib import Path

_IMPORT = re.compile(r'^import (?:\* as (\w+)|\{([^}\n]*)\}) from "\./(\w+)\.js";\n', re.M)
_EXPORT = re.compile(r"^export ((?:async )?(?:function\*?|class|const) (\w+))", re.M)
_EXPORT_LATER = re.compile(r"^export \{ ([\w, ]+) \};\n", re.M)
_LEFT = re.compile(r"^(?:import|export) .*", re.M)


def script(folder: Path, main: str) -> str:
    """Return the module `main` of a folder, behind all that it imports.

    Raises ValueError for an import or export that is written in another way.
    """
    functions: dict[str, str] = {}

    def add(name: str) -> None:
        if name in functions:
            return
        functions[name] = ""
        text = (folder / f"{name}.js").read_text("utf-8")
        for imported in _IMPORT.finditer(text):
            add(imported[3])
        exported = [found[2] for found in _EXPORT.finditer(text)]
        exported += [found[1] for found in _EXPORT_LATER.finditer(text)]
        body = _EXPORT_LATER.sub("", _EXPORT.sub(r"\1", _IMPORT.sub(_as_constant, text)))
        if left := _LEFT.search(body):
            raise ValueError(f"{name}.js: {left[0]}")
        # Behind those that it needs.
        del functions[name]
        functions[name] = (
            f"const ${name} = (() => {{\n{body}return {{ {', '.join(exported)} }};\n}})();\n"
        )

    add(main)
    return '"use strict";\n' + "".join(functions.values())


def _as_constant(found: re.Match[str]) -> str:
    whole, names, module = found.groups()
    if whole:
        return f"const {whole} = ${module};\n"
    return f"const {{{names.replace(' as ', ': ')}}} = ${module};\n"


def styles(folder: Path, names: tuple[str, ...]) -> str:
    """Return these style sheets of a folder, in this order."""
    return "".join((folder / name).read_text("utf-8") + "\n" for name in names)
