// Runs pytest on CPython in WebAssembly: node wasm.mjs PYODIDE SITE [ARGUMENT...]
// PYODIDE is the folder of npm's package `pyodide`, SITE one with pytest and what the tests import.
import path from "node:path";
import { pathToFileURL } from "node:url";

const [pyodide, site, ...args] = process.argv.slice(2);
const { loadPyodide } = await import(pathToFileURL(path.resolve(pyodide, "pyodide.mjs")));
const python = await loadPyodide({ indexURL: path.resolve(pyodide) + "/" });
const checkout = path.dirname(import.meta.dirname);
for (const [folder, root] of [["/checkout", checkout], ["/site", path.resolve(site)]]) {
    python.FS.mkdirTree(folder);
    python.FS.mount(python.FS.filesystems.NODEFS, { root }, folder);
}
python.FS.chdir("/checkout");
// Those of pyproject.toml name plugins that are not there.
const options = ["-p", "wasm_plugin", "-p", "no:cacheprovider", "-o", "addopts=-q"];
// Python does not see the end of the stack of WebAssembly coming, and the whole interpreter ends.
options.push("--deselect", "tests/formatting/test_value_text.py::test_a_value_that_holds_itself_many_times_comes_to_an_end");
python.globals.set("options", python.toPy([...options, ...args]));
process.exitCode = python.runPython(`
import sys
sys.path[:0] = ["/checkout", "/checkout/.ci", "/site"]
sys.dont_write_bytecode = True
print("Python", sys.version)
import pytest
int(pytest.main(list(options)))
`);
