"""What people install and start: locks, environment, wheel, Dockerfile, compose and Makefile, held to the code."""

from __future__ import annotations

import fnmatch
import importlib.util
import json
import os
import re
import shutil
import socket
import subprocess
import sys
import time
import tomllib
import urllib.request
import zipfile
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parents[1]
LOCKS = ("build.lock", "runtime.lock", "test.lock")
LINUX = ("Linux", "x86_64", "CPython", (3, 11), ("glibc", "2.36"))


def script(name: str) -> ModuleType:
    """A fresh copy of a script of requirements/, which is no package."""
    spec = importlib.util.spec_from_file_location(f"requirements_{name}", ROOT / "requirements" / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def text(name: str) -> str:
    return (ROOT / name).read_text("utf-8")


@pytest.fixture(scope="module")
def tracked() -> list[str]:
    """Files git knows, with forward slashes."""
    if not (ROOT / ".git").exists():
        pytest.skip("not a git checkout, so what is tracked cannot be told")
    done = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True)
    return done.stdout.splitlines()


# locks -----------------------------------------------------------------------------------------------------------


def pins(name: str) -> dict[str, str]:
    """{package: version} of a file in requirements/."""
    return dict(re.findall(r"(?m)^([a-z0-9-]+)==([^\s;\\]+)", text(f"requirements/{name}")))


def test_locks_and_constraints_agree_and_do_not_overlap():
    locked = [pins(name) for name in LOCKS]
    everything = {name: version for part in locked for name, version in part.items()}
    assert len(everything) == sum(len(part) for part in locked)
    assert everything.items() >= pins("constraints.txt").items()
    left_out = set(everything) - set(pins("constraints.txt"))
    assert {re.split("-", name)[0] for name in left_out} <= {"nvidia", "cuda", "triton"}


@pytest.mark.parametrize("name", LOCKS)
def test_every_locked_package_has_a_hash(name):
    entries = script("lock").split_entries(text(f"requirements/{name}"))
    assert len(entries) == len(pins(name)) > 0
    assert [package for package, entry in entries.items() if "--hash=sha256:" not in entry] == []


@pytest.mark.parametrize("name", [*LOCKS, "constraints.txt"])
def test_locks_name_no_index_and_no_file(name):
    assert not re.search(r"://|--index|--find-links|\.whl|@ ", text(f"requirements/{name}"))


@pytest.mark.parametrize(("extra", "locks"), [("", ["build.lock", "runtime.lock"]), ("test", list(LOCKS))])
def test_locked_versions_meet_the_ranges_of_pyproject(extra, locks):
    project = tomllib.loads(text("pyproject.toml"))["project"]
    locked = {name: version for lock in locks for name, version in pins(lock).items()}
    for line in project["optional-dependencies"][extra] if extra else project["dependencies"]:
        wanted = Requirement(line)
        version = locked.get(canonicalize_name(wanted.name))
        assert version is not None, f"{wanted.name} is not locked: run `make lock`"
        assert wanted.specifier.contains(version), f"{line} but {version} is locked: run `make lock`"


def test_lock_text_is_split_at_packages_and_not_at_hashes():
    sample = "# heading\nA.b==1 \\\n    --hash=sha256:0 \\\n    --hash=sha256:1\n# remark\nc_d==2\n"
    split = script("lock").split_entries(sample)
    assert split == {"a-b": "A.b==1 \\\n    --hash=sha256:0 \\\n    --hash=sha256:1", "c-d": "c_d==2"}


# installation ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({}, True),
        ({3: (3, 12)}, True),
        ({3: (3, 13)}, False),
        ({0: "Darwin"}, False),
        ({1: "aarch64"}, False),
        ({2: "PyPy"}, False),
        ({4: ("glibc", "2.17")}, False),
        ({4: ("", "")}, False),
    ],
)
def test_locks_are_used_only_where_they_were_made_for(change, expected):
    assert script("install").lock_applies(*(change.get(n, value) for n, value in enumerate(LINUX))) is expected


def test_locked_installation_checks_every_hash_and_resolves_nothing():
    steps = script("install").pip_steps(locked=True, test=True)
    assert [step[-1] for step in steps] == [*(f"requirements/{name}" for name in LOCKS), "."]
    assert all("--no-deps" in step for step in steps)
    assert all("--require-hashes" in step for step in steps[:-1])
    assert "requirements/test.lock" not in str(script("install").pip_steps(locked=True, test=False))


def test_other_platforms_install_within_the_constraints():
    assert script("install").pip_steps(locked=False, test=True) == [
        ["-c", "requirements/constraints.txt", "-e", ".[test]"]
    ]


@pytest.fixture
def installer(tmp_path, monkeypatch) -> tuple[ModuleType, list[list[str]]]:
    """The install script with pip replaced by a list that notes what it was asked for."""
    module, asked = script("install"), []

    def run(command: list[str], **options: Any) -> subprocess.CompletedProcess[str]:
        asked.append(command)
        return subprocess.CompletedProcess(command, 0)

    monkeypatch.setattr(module.subprocess, "run", run)
    monkeypatch.setattr(module, "make_venv", lambda venv: (venv / "bin").mkdir(parents=True, exist_ok=True))
    return module, asked


def test_second_installation_does_nothing(installer, tmp_path):
    module, asked = installer
    assert module.install(tmp_path / "venv", test=True) is True
    first = len(asked)
    assert first > 0
    assert module.install(tmp_path / "venv", test=True) is False
    assert module.install(tmp_path / "venv", test=False) is False, "the test environment serves `make run` too"
    assert len(asked) == first


def test_tests_need_more_than_an_environment_made_for_running(installer, tmp_path):
    module, _ = installer
    module.install(tmp_path / "venv", test=False)
    assert module.install(tmp_path / "venv", test=True) is True


def test_changed_lock_installs_again(installer, tmp_path, monkeypatch):
    module, _ = installer
    copy = tmp_path / "checkout"
    for name in module.INPUTS:
        (copy / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, copy / name)
    monkeypatch.setattr(module, "ROOT", copy)
    module.install(tmp_path / "venv", test=False)
    (copy / "requirements/runtime.lock").write_text("changed==1\n")
    assert module.install(tmp_path / "venv", test=False) is True
    assert len(list((tmp_path / "venv").glob(".installed-*"))) == 1


def test_failed_installation_leaves_no_stamp_and_says_so(installer, tmp_path, monkeypatch):
    module, _ = installer
    failed = lambda command, **options: subprocess.CompletedProcess(command, 1)  # noqa: E731
    monkeypatch.setattr(module.subprocess, "run", failed)
    with pytest.raises(SystemExit, match="Expected pip to install the packages; it stopped with the error above"):
        module.install(tmp_path / "venv", test=False)
    assert list((tmp_path / "venv").glob(".installed-*")) == []


def test_too_old_python_is_told_what_to_do(installer, monkeypatch):
    module, _ = installer
    monkeypatch.setattr(module.sys, "version_info", (3, 9, 2))
    monkeypatch.setattr(module, "newer_python", lambda: None)
    with pytest.raises(SystemExit, match=r"Promptoscope needs Python 3\.11 or newer; .*make PYTHON="):
        module.main()


def test_version_is_the_same_everywhere():
    from app.main import VERSION

    version = tomllib.loads(text("pyproject.toml"))["project"]["version"]
    assert version == VERSION
    assert f"## {version}" in text("CHANGELOG.md")
    assert compose()["services"]["web"]["image"] == f"promptoscope:{version}"


# wheel -----------------------------------------------------------------------------------------------------------


def packaged(tracked: list[str]) -> list[str]:
    """Tracked files of the folders a wheel carries."""
    find = tomllib.loads(text("pyproject.toml"))["tool"]["setuptools"]["packages"]["find"]
    folders = tuple(pattern.rstrip("*") + "/" for pattern in find["include"])
    return [name for name in tracked if name.startswith(folders) and (ROOT / name).exists()]


def test_every_data_file_belongs_to_the_wheel(tracked):
    patterns = tomllib.loads(text("pyproject.toml"))["tool"]["setuptools"]["package-data"]["*"]
    data = [name for name in packaged(tracked) if not name.endswith(".py")]
    assert any(name.startswith("static/") for name in data)
    assert any(name.endswith(".safetensors") for name in data)
    missed = [name for name in data if not any(fnmatch.fnmatch(Path(name).name, p) for p in patterns)]
    assert missed == []


def test_static_files_and_migrations_are_found_beside_the_packages():
    from app.ui.layout import STATIC_DIR
    from core.records.migrate import FOLDER

    assert (STATIC_DIR / "app.css").is_file()
    assert (FOLDER / "env.py").is_file()


@pytest.mark.slow
def test_wheel_carries_every_tracked_file_of_the_packages(tracked, tmp_path):
    names = packaged(tracked)
    for name in [*names, "pyproject.toml", "README.md", "LICENSE"]:
        target = tmp_path / "source" / name
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, target)
    build = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation", "--wheel-dir"]
    subprocess.run([*build, str(tmp_path), str(tmp_path / "source")], check=True)
    wheel = next(tmp_path.glob("*.whl"))
    assert set(names) - set(zipfile.ZipFile(wheel).namelist()) == set()


# Dockerfile and compose ------------------------------------------------------------------------------------------


def instructions(word: str) -> list[str]:
    """Arguments of every instruction of this kind in the Dockerfile, continuation lines joined."""
    joined = re.sub(r"(?m)^#.*\n", "", text("Dockerfile")).replace("\\\n", " ")
    return re.findall(rf"(?m)^{word}\s+(.+)$", joined)


def copied() -> list[str]:
    """Sources of COPY from the build context."""
    lines = [line.split() for line in instructions("COPY") if "--from" not in line]
    return [source for line in lines for source in line[:-1]]


def compose() -> dict[str, Any]:
    return yaml.safe_load(text("docker-compose.yml"))


def commands() -> list[list[str]]:
    """Every `promptoscope ...` the containers start."""
    found = [json.loads(line) for line in instructions("CMD") if line.startswith('["promptoscope"')]
    return found + [s["command"] for s in compose()["services"].values() if "command" in s]


def test_everything_copied_into_the_image_is_tracked(tracked):
    assert len(copied()) >= 8
    for source in copied():
        assert any(name == source or name.startswith(f"{source}/") for name in tracked), source


def test_everything_copied_into_the_image_is_let_through_by_dockerignore():
    lines = [line for line in text(".dockerignore").splitlines() if line and not line.startswith("#")]
    assert lines[0] == "*", "nothing enters the build context unless named"
    assert {line[1:] for line in lines if line.startswith("!")} == set(copied())


def test_image_holds_every_folder_of_the_wheel():
    find = tomllib.loads(text("pyproject.toml"))["tool"]["setuptools"]["packages"]["find"]
    assert {pattern.rstrip("*") for pattern in find["include"]} <= set(copied())


def test_image_is_built_for_a_python_the_locks_were_made_for():
    versions = re.findall(r"(?m)^FROM python:(\d+)\.(\d+)-slim", text("Dockerfile"))
    assert versions
    for major, minor in versions:
        assert (int(major), int(minor)) in script("install").LOCKED_PYTHONS


def test_container_does_not_run_as_root():
    assert instructions("USER") == ["promptoscope"]
    assert "useradd --uid 10001 --create-home promptoscope" in instructions("RUN")[-1]


def test_ports_agree_everywhere():
    (exposed,) = instructions("EXPOSE")
    for command in commands():
        if "serve" in command:
            assert command[command.index("--port") + 1] == exposed
            assert command[command.index("--host") + 1] == "0.0.0.0"
    assert compose()["services"]["web"]["ports"] == [f"127.0.0.1:{exposed}:{exposed}"]
    assert f"http://127.0.0.1:{exposed}/" in instructions("HEALTHCHECK")[0]


def test_health_check_asks_an_address_that_needs_no_sign_in():
    from app.main import create_app
    from app.security import OPEN_PATHS

    path = re.search(r"http://127\.0\.0\.1:\d+(/\w+)", instructions("HEALTHCHECK")[0])
    assert path is not None
    assert path[1] in OPEN_PATHS
    assert any(getattr(route, "path", None) == path[1] for route in walk_routes(create_app))


def walk_routes(create_app: Callable[..., Any]) -> list[Any]:
    """Routes of the application, as its description lists them."""
    import tempfile
    from types import SimpleNamespace

    from core.settings import Settings

    with tempfile.TemporaryDirectory() as folder:
        app = create_app(Settings(home=Path(folder)), with_worker=False, with_pages=False)
        app.state.context.close()
        return [SimpleNamespace(path=path) for path in app.openapi()["paths"]]


def test_every_variable_the_containers_set_is_a_setting():
    from core.settings import Settings

    known = {f"PROMPTOSCOPE_{name.upper()}" for name in Settings.model_fields}
    set_by_image = set(re.findall(r"(PROMPTOSCOPE_\w+)=", text("Dockerfile")))
    assert set_by_image <= known
    for name in ("web", "worker", "worker-gpu"):
        environment = compose()["services"][name]["environment"]
        assert set(environment) <= known
        assert set_by_image <= set(environment)


def test_every_variable_of_the_example_is_used_by_compose():
    named = re.findall(r"(?m)^(?:# )?([A-Z][A-Z_]+)=", text(".env.example"))
    assert set(named) == {
        "POSTGRES_PASSWORD",
        "PROMPTOSCOPE_LLM_BASE_URL",
        "PROMPTOSCOPE_LLM_API_KEY",
        "PROMPTOSCOPE_LLM_MODEL",
    }
    for name in named:
        assert name in text("docker-compose.yml")


def test_database_url_of_compose_leads_to_its_database_service():
    from sqlalchemy import make_url

    services = compose()["services"]
    shape = re.sub(
        r"\$\{POSTGRES_PASSWORD:\?[^}]*\}", "secret", services["web"]["environment"]["PROMPTOSCOPE_DATABASE_URL"]
    )
    url, database = make_url(shape), services["database"]["environment"]
    assert url.get_backend_name() == "postgresql"
    assert url.host in services
    assert (url.username, url.database) == (database["POSTGRES_USER"], database["POSTGRES_DB"])


def test_compose_holds_no_secret():
    password = compose()["services"]["database"]["environment"]["POSTGRES_PASSWORD"]
    assert password == "${POSTGRES_PASSWORD:?set it in .env}"
    assert re.search(r"(?m)^POSTGRES_PASSWORD=$", text(".env.example"))


def test_compose_services_and_volumes_refer_to_each_other():
    found = compose()
    for service in found["services"].values():
        assert set(service.get("depends_on", {})) <= set(found["services"])
        for volume in service.get("volumes", []):
            assert volume.split(":")[0] in found["volumes"]
    assert found["services"]["web"]["volumes"] == found["services"]["worker"]["volumes"]


def test_gpu_worker_is_a_profile_and_the_same_worker():
    services = compose()["services"]
    gpu = services["worker-gpu"]
    assert gpu["profiles"] == ["gpu"]
    assert gpu["deploy"]["resources"]["reservations"]["devices"][0]["capabilities"] == ["gpu"]
    assert gpu["command"] == services["worker"]["command"]
    assert "profiles" not in services["worker"]


def test_every_command_of_the_containers_exists_and_starts():
    assert len(commands()) == 4
    for command in {tuple(command) for command in commands()}:
        words = [word for word in command[1:] if not word.startswith("-")][:1]
        run = [sys.executable, "-m", "app.cli", *words, "--help"]
        done = subprocess.run(run, cwd=ROOT, capture_output=True, text=True, env={**os.environ, "COLUMNS": "200"})
        assert done.returncode == 0, done.stderr
        for flag in [word for word in command if word.startswith("--")]:
            assert flag in done.stdout, f"`{' '.join(command)}`: {flag} is no option"


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@pytest.mark.slow
@pytest.mark.parametrize("command", [c for c in commands() if "serve" in c], ids=" ".join)
def test_site_starts_as_in_the_container_and_passes_its_health_check(command, tmp_path):
    port = str(free_port())
    words = ["127.0.0.1" if word == "0.0.0.0" else word for word in command[1:]]
    words[words.index("--port") + 1] = port
    environment = {**os.environ, "PROMPTOSCOPE_HOME": str(tmp_path / "home"), "OMP_NUM_THREADS": "1"}
    environment.pop("PROMPTOSCOPE_DATABASE_URL", None)
    check = json.loads(instructions("HEALTHCHECK")[0].split("CMD", 1)[1])[2].replace(":8000/", f":{port}/")
    site = subprocess.Popen(
        [sys.executable, "-m", "app.cli", *words], cwd=tmp_path, env=environment | {"PYTHONPATH": str(ROOT)}
    )
    try:
        assert comes_up(
            lambda: subprocess.run([sys.executable, "-c", check], capture_output=True).returncode == 0, site
        )
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/readyz", timeout=10) as answer:
            assert json.load(answer)["status"] == "ok"
    finally:
        site.terminate()
        site.wait(30)


def comes_up(is_up: Callable[[], bool], process: subprocess.Popen[bytes], limit_s: float = 120) -> bool:
    """Whether something becomes true while the process lives."""
    ends_at = time.monotonic() + limit_s
    while time.monotonic() < ends_at and process.poll() is None:
        if is_up():
            return True
        time.sleep(0.5)
    return False


# make and CI -----------------------------------------------------------------------------------------------------


def make_output(*arguments: str) -> str:
    """What make prints. Tests themselves run below a make, whose flags would change it."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("MAKE", "MFLAGS"))}
    done = subprocess.run(["make", *arguments], cwd=ROOT, env=environment, capture_output=True, text=True, check=True)
    return done.stdout


def test_make_run_installs_then_serves():
    lines = make_output("-n", "run").splitlines()
    assert [line.split()[1].split("/")[-1] for line in lines] == ["install.py", "serve"]


def test_every_target_says_what_it_does():
    for target in ("run", "test", "check", "test-slow", "test-browser", "test-postgres", "parity", "bench", "lock"):
        assert re.search(rf"make {target} +\w", make_output("help")), target


def test_ci_runs_the_test_command_of_the_readme():
    assert re.search(r"(?m)^tier \"\w+\" make test$", text(".ci/run"))
    assert re.search(r"(?m)^make test\b", text("README.md"))


@pytest.mark.parametrize("name", [".ci/run", ".ci/with-postgres"])
def test_ci_scripts_are_executable_and_parse(name, tracked):
    assert name in tracked
    assert os.access(ROOT / name, os.X_OK)
    assert "set -euo pipefail" in text(name)
    subprocess.run(["bash", "-n", str(ROOT / name)], check=True)


@pytest.mark.parametrize("tier", ["browser", "postgres"])
def test_every_opt_in_tier_has_tests(tier):
    marked = [p for p in (ROOT / "tests").rglob("test_*.py") if re.search(rf"mark\.{tier}\b", p.read_text("utf-8"))]
    assert [path for path in marked if path != Path(__file__)]


def test_command_runs_with_the_database_it_is_given():
    environment = {**os.environ, "PROMPTOSCOPE_TEST_POSTGRES_URL": "postgresql+psycopg://someone@example/name"}
    show = [sys.executable, "-c", "import os; print(os.environ['PROMPTOSCOPE_TEST_POSTGRES_URL'])"]
    done = subprocess.run([ROOT / ".ci/with-postgres", *show], env=environment, capture_output=True, text=True)
    assert done.stdout.strip() == "postgresql+psycopg://someone@example/name"
