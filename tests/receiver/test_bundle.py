"""The page's modules become one script."""

from __future__ import annotations

import pytest

from logplex_handler.receiver._bundle import script


def test_modules_stand_behind_what_they_import(tmp_path):
    """Once each, with the names by which others know their exports."""
    (tmp_path / "main.js").write_text(
        'import * as low from "./low.js";\nimport { b as c } from "./middle.js";\nuse(low.a, c);\n'
    )
    (tmp_path / "middle.js").write_text(
        'import { a } from "./low.js";\nexport async function b() {}\nconst d = a;\nexport { d };\n'
    )
    (tmp_path / "low.js").write_text("export const a = 1;\nexport function* f() {}\n")
    assert script(tmp_path, "main").splitlines() == [
        '"use strict";',
        "const $low = (() => {",
        "const a = 1;",
        "function* f() {}",
        "return { a, f };",
        "})();",
        "const $middle = (() => {",
        "const { a } = $low;",
        "async function b() {}",
        "const d = a;",
        "return { b, d };",
        "})();",
        "const $main = (() => {",
        "const low = $low;",
        "const { b: c } = $middle;",
        "use(low.a, c);",
        "return {  };",
        "})();",
    ]


@pytest.mark.parametrize(
    "line",
    ["export default 1;", "export let a = 1;", "import a from './a.js';", 'import "./a.js";'],
)
def test_another_way_to_import_or_export_is_an_error(tmp_path, line):
    (tmp_path / "main.js").write_text(line + "\n")
    with pytest.raises(ValueError, match=r"main\.js: (?:import|export) "):
        script(tmp_path, "main")
