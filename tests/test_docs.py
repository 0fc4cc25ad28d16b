"""The documentation held to the code: nothing undescribed, nothing described that is not there, no broken link."""

from __future__ import annotations

import importlib.util
import re
import tomllib
from functools import cache
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).resolve().parents[1]
DOCS = ROOT / "docs"
PAGES = sorted([*DOCS.rglob("*.md"), *ROOT.glob("*.md"), ROOT / "tests/README.md"])
# Names of the environment that are not ours, or that only compose and make use.
OTHER_VARIABLES = {"PROMPTOSCOPE_TEST_DATA", "PROMPTOSCOPE_TEST_POSTGRES_URL"}


@cache
def generator() -> ModuleType:
    spec = importlib.util.spec_from_file_location("docs_generate", DOCS / "generate.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def reference(name: str) -> str:
    return (DOCS / "reference" / name).read_text("utf-8")


@pytest.mark.parametrize("name", ["settings.md", "methods.md", "command-line.md", "api.md", "tables.md"])
def test_reference_page_is_what_the_code_gives(name):
    assert reference(name) == generator().PAGES[name](), f"docs/reference/{name} is stale: run `make docs`"


def test_every_reference_page_is_generated_or_the_index():
    assert {path.name for path in (DOCS / "reference").glob("*.md")} == {*generator().PAGES, "README.md"}


def test_method_table_of_the_readme_is_what_the_code_gives():
    assert (ROOT / "README.md").read_text("utf-8") == generator().readme(), "README.md is stale: run `make docs`"


def test_every_setting_is_described_with_a_sentence():
    from core.settings import Settings

    for name, field in Settings.model_fields.items():
        assert f"`PROMPTOSCOPE_{name.upper()}`" in reference("settings.md")
        assert (field.description or "").endswith("."), f"settings.{name} has no sentence"


def test_every_method_and_option_is_described():
    from core.tuning.registry import get_method, method_names

    sections = re.split(r"(?m)^## ", reference("methods.md"))
    for name in method_names():
        section = next(text for text in sections if f"(`{name}`)" in text.splitlines()[0])
        for option in get_method(name).Config.schema():
            assert f"| `{option['name']}` |" in section
            assert option["help"], f"{name}.{option['name']} has no help"


def test_papers_and_code_names_options_and_variants_that_the_methods_have():
    from core.tuning.registry import get_method, method_names

    methods = {get_method(name).title: get_method(name) for name in method_names()}
    page = (DOCS / "explanation" / "papers-and-code.md").read_text("utf-8")
    table = page.split("## Each method")[1].split("## Left out")[0]
    rows = [line.strip("| ").split(" | ") for line in table.splitlines() if line.startswith("| ")][1:]
    assert {title for row in rows for title in row[0].split(", ")} == set(methods)
    for titles, *_, offered in rows:
        for title in titles.split(", "):
            known = {row["name"] for row in methods[title].Config.schema()} | set(methods[title].variants)
            assert set(re.findall(r"`(\w+)`", offered)) <= known, f"{title}: {offered}"


def test_every_command_and_parameter_is_described():
    from typer.main import get_command

    from app.cli import app

    page = reference("command-line.md")
    for path, command in generator().walk_commands("promptoscope", get_command(app)):
        assert f"## `{path}`\n" in page
        assert command.help, f"`{path}` has no help"
        for param in command.params:
            assert getattr(param, "help", "") or "--help" in param.opts, f"`{path}`: {param.name} has no help"


def test_every_endpoint_is_described():
    for path, operations in generator().openapi()["paths"].items():
        for verb, operation in operations.items():
            assert f"## `{verb.upper()} {path}`\n" in reference("api.md")
            assert operation.get("description"), f"{verb} {path} has no description"


def test_every_table_is_described():
    from core.records.tables import Base

    for mapper in Base.registry.mappers:
        assert f"## `{mapper.local_table.name}`\n" in reference("tables.md")
        assert mapper.class_.__doc__, f"{mapper.class_.__name__} has no docstring"


def test_every_environment_variable_named_anywhere_exists():
    from core.settings import Settings

    known = {f"PROMPTOSCOPE_{name.upper()}" for name in Settings.model_fields} | OTHER_VARIABLES
    for path in [*PAGES, ROOT / ".env.example", ROOT / "Makefile", ROOT / "Dockerfile", ROOT / "docker-compose.yml"]:
        named = set(re.findall(r"PROMPTOSCOPE_[A-Z_]+[A-Z]", path.read_text("utf-8")))
        assert named <= known, f"{path.relative_to(ROOT)} names {sorted(named - known)}"


def dependencies() -> dict[str, list[str]]:
    """Names in pyproject.toml: of the project itself under "", of the extras under theirs."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    groups = {"": project["dependencies"], **project["optional-dependencies"]}
    return {extra: [re.split(r"[^\w.-]", line)[0] for line in lines] for extra, lines in groups.items()}


def test_every_dependency_has_its_reason_and_every_reason_its_dependency():
    page = (DOCS / "decisions/0002-dependencies.md").read_text("utf-8")
    reasons = dict(re.findall(r"(?m)^\| ([\w.-]+) \| (.+) \|$", page))
    reasons.pop("package")
    groups = dependencies()
    assert set(reasons) - {"---"} == {*groups[""], *groups["test"]}
    for extra in set(groups) - {"", "test"}:
        assert f"extra `{extra}`" in page


def test_every_decision_is_listed_once():
    folder = DOCS / "decisions"
    listed = re.findall(r"\]\((\d{4}-[\w-]+\.md)\)", (folder / "README.md").read_text("utf-8"))
    assert listed == sorted(path.name for path in folder.glob("0*.md"))
    for name in listed:
        text = (folder / name).read_text("utf-8")
        assert text.startswith(f"# {int(name[:4])}. ")
        assert "**Why.**" in text or name.startswith("0002"), name


@pytest.mark.parametrize("path", PAGES, ids=lambda path: str(path.relative_to(ROOT)))
def test_links_lead_to_files_that_exist(path):
    for target in re.findall(r"\]\(([^)\s]+)\)", path.read_text("utf-8")):
        file, _, heading = target.partition("#")
        assert not target.startswith("/"), target
        if re.match(r"[a-z]+:", target):
            continue
        found = path.parent / file if file else path
        assert found.exists(), f"{target} does not exist"
        if heading:
            assert heading in anchors(found), f"{target}: no such heading"


def anchors(path: Path) -> set[str]:
    """The anchors Markdown viewers make of headings."""
    headings = re.findall(r"(?m)^#+ (.+)$", path.read_text("utf-8"))
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def documented_commands() -> list[tuple[str, str]]:
    """(page, command line) of each `promptoscope ...` line inside a fenced block, continuation lines joined."""
    found = []
    for path in PAGES:
        for block in re.findall(r"(?ms)^```\w*\n(.*?)^```", path.read_text("utf-8")):
            for line in block.replace("\\\n", " ").splitlines():
                match = re.match(r"\s*(?:docker compose (?:exec|run) [\w -]+ )?(promptoscope .+)", line)
                if match:
                    found.append((str(path.relative_to(ROOT)), match[1].split(" #")[0].split(" > ")[0].strip()))
    return found


def test_every_command_in_the_docs_exists_with_its_options():
    import shlex

    from typer.main import get_command

    from app.cli import app

    commands = dict(generator().walk_commands("promptoscope", get_command(app)))
    assert len(documented_commands()) >= 10
    for page, line in documented_commands():
        words = shlex.split(line)
        path = next((" ".join(words[:n]) for n in (3, 2) if " ".join(words[:n]) in commands), None)
        assert path, f"{page}: `{line}` is no command"
        flags = {flag for param in commands[path].params for flag in (*param.opts, *param.secondary_opts)}
        used = {word.split("=")[0] for word in words if word.startswith("--")}
        assert used <= flags | {"--help"}, f"{page}: `{line}` uses {sorted(used - flags)}"


def test_the_example_of_the_how_to_page_is_the_file_that_is_tested():
    page = (DOCS / "how-to/add-a-method.md").read_text("utf-8")
    (shown,) = re.findall(r"(?ms)^```python\n(.*?)^```", page)
    (file,) = (ROOT / "tests/core/methods/example_method").glob("*.py")
    assert f"`{file.relative_to(ROOT).as_posix()}`" in page
    assert shown == file.read_text("utf-8")


def test_every_recipe_is_in_the_reference():
    from core.tuning.recipe import list_recipes

    sections = re.split(r"(?m)^## ", reference("methods.md"))
    for recipe in list_recipes():
        section = next(text for text in sections if f"(`{recipe.method}`)" in text.splitlines()[0])
        assert f"`{recipe.method}/{recipe.source}/<data set>/{recipe.protocol}`" in section
        assert f"`{recipe.data_set}`" in section


def test_every_make_target_in_the_docs_exists():
    targets = set(re.findall(r"(?m)^([a-z-]+):", (ROOT / "Makefile").read_text("utf-8")))
    for path in PAGES:
        text = path.read_text("utf-8")
        blocks = "\n".join(re.findall(r"(?ms)^```\w*\n(.*?)^```", text))
        named = set(re.findall(r"`make ([a-z-]+)", text)) | set(re.findall(r"(?m)^\s*make ([a-z-]+)", blocks))
        assert named <= targets, f"{path.relative_to(ROOT)} names {sorted(named - targets)}"
