"""The pages' scripts: what one module calls of another it imports. A browser finds out only where the line runs."""

from __future__ import annotations

import re
from pathlib import Path

SCRIPTS = Path(__file__).resolve().parents[1] / "static" / "js"


def exported() -> set[str]:
    """Names that any module offers."""
    pattern = r"(?m)^export (?:async )?(?:function|class|const|let) (\w+)"
    return {name for file in SCRIPTS.glob("*.js") for name in re.findall(pattern, file.read_text())}


def missing(code: str, names: set[str]) -> set[str]:
    """Of these names the ones that the code calls, though it neither imports nor defines them."""
    code = re.sub(r"(?s)/\*.*?\*/", "", code)
    code = re.sub(r"(?m)^\s*//.*$", "", code)
    imported = {
        name.split(" as ")[-1].strip() for group in re.findall(r"import \{([^}]*)\}", code) for name in group.split(",")
    }
    defined = set(re.findall(r"\b(?:function|class|const|let|var) (\w+)", code))
    parameters = {
        name.strip(" {}.").split("=")[0].strip()
        for group in re.findall(r"\(([^()]*)\)\s*(?:=>|\{)", code)
        for name in group.split(",")
    } | set(re.findall(r"(\w+)\s*=>", code))
    methods = set(re.findall(r"(?m)^\s+(?:async |static |get |set )*(\w+)\([^)]*\)\s*\{", code))
    # in templates too; not a private method, a property or part of a longer name
    called = set(re.findall(r"(?<![\w.$#])(\w+)\(", re.sub(r'"(?:\\.|[^"\\\n])*"', '""', code).replace("${", " ")))
    return (called & names) - imported - defined - parameters - methods


def test_every_script_imports_what_it_calls() -> None:
    names = exported()
    assert len(names) > 100
    found = {file.name: missing(file.read_text(), names) for file in SCRIPTS.glob("*.js")}
    assert {name: lacking for name, lacking in found.items() if lacking} == {}


def test_a_forgotten_import_would_be_found() -> None:
    code = 'import { h } from "./core.js";\nh("p", {}, chip("new"), this.count(1), this.#link(2), `${uid("a")}`);'
    assert missing(code, {"h", "chip", "count", "link", "uid"}) == {"chip", "uid"}
