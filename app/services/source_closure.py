"""Which of our own modules, and which packages of others, a module needs: read from the sources, nothing is run."""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from importlib.metadata import packages_distributions, version
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
OWN = ("app", "core", "training_jobs")


@dataclass(frozen=True)
class Closure:
    """modules: dotted name -> file. packages: top-level names of others' packages that these import."""

    modules: dict[str, Path]
    packages: frozenset[str]

    def pinned(self) -> list[str]:
        """`name==version` of the installed distribution of each package, sorted."""
        owners = packages_distributions()
        names = {owners[package][0] for package in self.packages if package in owners}
        names |= (
            {"torchvision"} if "torch" in names else set()
        )  # the two must come together, and others of these ask it
        return sorted(f"{name}=={version(name).partition('+')[0]}" for name in names)


def closure(modules: Iterable[str]) -> Closure:
    """Everything that the named modules import, at once or later; imports for type checkers alone are left out."""
    waiting, found, packages = list(modules), dict[str, Path](), set[str]()
    while waiting:
        name = waiting.pop()
        file = _file_of(name)
        if file is None or name in found:
            continue
        found[name] = file
        waiting += [name.rsplit(".", 1)[0]] if "." in name else []
        for imported in _imports(ast.parse(file.read_text("utf-8"))):
            if imported.split(".")[0] in OWN:
                waiting.append(imported)
            else:
                packages.add(imported.split(".")[0])
    return Closure(found, frozenset(packages - sys.stdlib_module_names))


def _file_of(name: str) -> Path | None:
    place = ROOT.joinpath(*name.split("."))
    return next((file for file in (place / "__init__.py", place.with_suffix(".py")) if file.is_file()), None)


def _imports(tree: ast.AST) -> Iterator[str]:
    """Names of modules that a syntax tree imports; of `from a import b` both `a` and `a.b`."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            continue
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)
        yield from _imports(node)
