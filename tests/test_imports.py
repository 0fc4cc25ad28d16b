"""The import arrows, read from the code of every file, and what importing must not do."""

from __future__ import annotations

import ast
import json
import subprocess
import sys
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PACKAGES = ("core", "training_jobs", "app")
SCIENCE = (
    "images",
    "descriptions",
    "backbones",
    "language_models",
    "tuning",
    "methods",
    "evaluation",
    "experiments",
    "explain",
    "reporting",
)
WEB = {"fastapi", "starlette", "gradio", "uvicorn"}
TABLES = {"sqlalchemy", "alembic", "psycopg"}


def files(folder: str) -> list[Path]:
    return sorted((ROOT / folder).rglob("*.py"))


def imported(path: Path) -> set[str]:
    """Dotted names of all modules a file imports anywhere, relative ones made absolute."""
    package = ".".join(path.relative_to(ROOT).parts[:-1])
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                above = package.split(".")[: len(package.split(".")) - node.level + 1]
                base = ".".join([*above, *([node.module] if node.module else [])])
            names |= {base} | {f"{base}.{alias.name}" for alias in node.names}
    return names


def wrong_imports(folder: str, *forbidden: str) -> list[str]:
    """`file imports module` for each import of a forbidden package or something below it."""
    return [
        f"{path.relative_to(ROOT)} imports {name}"
        for path in files(folder)
        for name in sorted(imported(path))
        if any(name == package or name.startswith(f"{package}.") for package in forbidden)
    ]


def test_core_imports_neither_jobs_nor_app():
    assert wrong_imports("core", "training_jobs", "app") == []


def test_training_jobs_never_import_app():
    assert wrong_imports("training_jobs", "app") == []


@pytest.mark.parametrize("part", SCIENCE)
def test_science_never_imports_records(part):
    assert wrong_imports(f"core/{part}", "core.records") == []


def test_only_records_and_migrations_know_tables():
    # the address of a database, and a session handed from one function of core.records to another, hold no table
    handles = {"sqlalchemy.engine.URL", "sqlalchemy.make_url", "sqlalchemy.orm.Session"}
    for package in PACKAGES:
        for path in files(package):
            names = {name for name in imported(path) if name.split(".")[0] in TABLES}
            parents = {handle.rsplit(".", 1)[0] for handle in handles & names}
            if not path.is_relative_to(ROOT / "core/records"):
                assert names - handles - parents == set(), path.relative_to(ROOT)


def test_only_app_knows_the_web():
    assert wrong_imports("core", *WEB) + wrong_imports("training_jobs", *WEB) == []


def test_the_application_never_imports_tests_docs_or_benchmarks():
    assert [line for package in PACKAGES for line in wrong_imports(package, "tests", "docs", "benchmarks")] == []


def modules() -> dict[str, set[str]]:
    """Every module of the packages with the modules it imports anywhere: at its top, inside functions, for types."""
    found = {}
    for package in PACKAGES:
        for path in files(package):
            parts = path.relative_to(ROOT).with_suffix("").parts
            found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = imported(path)
    # a package's own __init__ does nothing, so naming the package beside one of its modules is no arrow
    known = {name: (names & found.keys()) - {name} for name, names in found.items()}
    return {name: names - parents(names) for name, names in known.items()}


def parents(names: set[str]) -> set[str]:
    """Those of the names that only lead to a longer one."""
    return {name for name in names if any(other.startswith(f"{name}.") for other in names)}


def test_no_module_is_imported_in_a_circle():
    try:
        list(TopologicalSorter(modules()).static_order())
    except CycleError as error:
        pytest.fail(" -> ".join(error.args[1]))


def test_methods_folder_holds_methods_and_nothing_else():
    from core.tuning.contract import Method
    from core.tuning.registry import get_method, method_names

    entries = {path.name for path in (ROOT / "core/methods").iterdir() if path.name != "__pycache__"}
    assert entries == {"__init__.py", *(f"{name}.py" for name in method_names())}
    for name in method_names():
        method = get_method(name)
        own = [v for v in vars(sys.modules[method.__module__]).values() if isinstance(v, type)]
        own = [v for v in own if issubclass(v, Method) and v.__module__ == method.__module__]
        assert own == [method], f"core/methods/{name}.py holds {len(own)} methods"


def test_methods_do_not_import_each_other():
    for path in files("core/methods"):
        own = f"core.methods.{path.stem}"
        others = [n for n in imported(path) if n.startswith("core.methods.") and not n.startswith(own)]
        assert others == [], f"{path.name} imports {others}; shared parts belong to core/tuning"


def test_methods_never_name_a_backbone():
    from core.backbones.catalogue import backbone_names

    for path in files("core/methods"):
        body = ast.parse(path.read_text("utf-8"))
        docs = {id(n.body[0].value) for n in ast.walk(body) if isinstance(n, DOCUMENTED) and ast.get_docstring(n)}
        texts = {n.value for n in ast.walk(body) if isinstance(n, ast.Constant) and id(n) not in docs}
        assert texts & set(backbone_names()) == set(), path.name


DOCUMENTED = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)

WATCH = """
import importlib, json, logging, os, pkgutil, sys
import matplotlib, open_clip, pytorch_grad_cam, sklearn, timm, torch, transformers  # what these set is not ours
events = []
NETWORK = {"socket.connect", "socket.bind", "socket.getaddrinfo", "socket.sendto"}
sys.addaudithook(lambda event, args: events.append(event) if event in NETWORK else None)

def state():
    return {
        "threads": torch.get_num_threads(),
        "dtype": str(torch.get_default_dtype()),
        "deterministic": torch.are_deterministic_algorithms_enabled(),
        "matmul": torch.get_float32_matmul_precision(),
        "grad": torch.is_grad_enabled(),
        "random": torch.initial_seed(),
        "log_level": logging.getLogger().level,
        "log_handlers": len(logging.getLogger().handlers),
        "environment": dict(os.environ),
    }

before = state()
for package in sys.argv[1:]:
    root = importlib.import_module(package)
    for module in pkgutil.walk_packages(root.__path__, package + "."):
        if not module.name.endswith("__main__"):
            importlib.import_module(module.name)
after = state()
print(json.dumps({"network": events, "before": before, "after": after}))
"""


def run_python(code: str, *arguments: str) -> str:
    done = subprocess.run([sys.executable, "-c", code, *arguments], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()[-1]


def test_importing_every_module_opens_no_socket_and_sets_no_global_flag():
    found = json.loads(run_python(WATCH, "core", "training_jobs"))
    assert found["network"] == []
    assert found["after"] == found["before"]


@pytest.mark.parametrize("module", ["core", "core.settings", "core.records.session", "app.cli", "training_jobs"])
def test_light_modules_load_neither_torch_nor_gradio(module):
    heavy = run_python(f"import sys, {module}; print(sorted({{'torch', 'gradio', 'transformers'}} & set(sys.modules)))")
    assert heavy == "[]"
