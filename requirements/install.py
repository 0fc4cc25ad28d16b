"""Makes the virtual environment of a checkout: `python3 requirements/install.py [--venv .venv] [--test]`.

Standard library only, since it runs before anything is installed. Where the hashed lock files hold (see
`lock_applies`) every package is installed from them and checked against its hash; elsewhere pip resolves for that
platform within `constraints.txt`. A stamp in the environment makes the next call return at once.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import platform
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
OLDEST_PYTHON = (3, 11)
LOCKED_PYTHONS = ((3, 11), (3, 12))
OLDEST_LOCKED_GLIBC = (2, 28)
INPUTS = (
    "pyproject.toml",
    "requirements/build.lock",
    "requirements/runtime.lock",
    "requirements/test.lock",
    "requirements/constraints.txt",
)


def lock_applies(system, machine, implementation, python, libc):
    """Whether the hashed locks hold: 64-bit Intel or AMD Linux, CPython 3.11 or 3.12, glibc 2.28 or newer.

    system, machine, implementation: as `platform` names them. python: (major, minor). libc: `platform.libc_ver()`.
    """
    name, version = libc
    glibc = tuple(int(part) for part in version.split(".")[:2] if part.isdigit()) if name == "glibc" else ()
    return (
        system == "Linux"
        and machine in ("x86_64", "AMD64")
        and implementation == "CPython"
        and python in LOCKED_PYTHONS
        and glibc >= OLDEST_LOCKED_GLIBC
    )


def lock_applies_here():
    """`lock_applies` for the interpreter that runs this script."""
    return lock_applies(
        platform.system(),
        platform.machine(),
        platform.python_implementation(),
        sys.version_info[:2],
        platform.libc_ver(),
    )


def pip_steps(locked, test):
    """The argument lists of `pip install`, in order; paths are relative to the checkout.

    The build tool comes first and from its own hashed file, so that source packages and the project itself are
    built with it and not with whatever release is newest that day.
    """
    if not locked:
        return [["-c", "requirements/constraints.txt", "-e", ".[test]" if test else "."]]
    hashed = ["--require-hashes", "--no-deps", "--no-build-isolation"]
    steps = [
        ["--require-hashes", "--no-deps", "-r", "requirements/build.lock"],
        [*hashed, "-r", "requirements/runtime.lock"],
    ]
    if test:
        steps.append([*hashed, "-r", "requirements/test.lock"])
    return [*steps, ["--no-deps", "--no-build-isolation", "-e", "."]]


def stamp_name(root, python):
    """File name that stands for these inputs, this folder and this Python; another one means: install again."""
    digest = hashlib.sha256(repr((str(root), python)).encode())
    for name in INPUTS:
        digest.update((root / name).read_bytes())
    return ".installed-" + digest.hexdigest()[:16]


def is_installed(venv, stamp, test):
    """Whether a finished installation with this stamp is there; one with the test tools serves both uses."""
    wanted = ["test"] if test else ["test", "runtime"]
    return any((venv / f"{stamp}-{extra}").exists() for extra in wanted)


def make_venv(venv):
    """Make an empty environment, with a sentence instead of a traceback where the system has left `venv` out."""
    done = subprocess.run([sys.executable, "-m", "venv", str(venv)], capture_output=True, text=True)
    if done.returncode != 0:
        shutil.rmtree(venv, ignore_errors=True)
        raise SystemExit(
            f"{sys.executable} could not make the environment {venv}:\n{done.stdout}{done.stderr}\n"
            "On Debian and Ubuntu install the package python3-venv; elsewhere use a Python with venv and pip."
        )


def install(venv, test):
    """Bring the environment to the state the files ask for; returns False when it was there already."""
    stamp = stamp_name(ROOT, platform.python_version())
    if is_installed(venv, stamp, test):
        return False
    if not (venv / "bin" / "python").exists():
        make_venv(venv)
    for old in venv.glob(".installed-*"):
        old.unlink()
    locked = lock_applies_here()
    print("Installing " + ("the locked packages" if locked else "within requirements/constraints.txt") + f" to {venv}.")
    for arguments in pip_steps(locked, test):
        command = [str(venv / "bin" / "python"), "-m", "pip", "install", "--disable-pip-version-check", *arguments]
        if subprocess.run(command, cwd=ROOT).returncode != 0:
            raise SystemExit("Expected pip to install the packages; it stopped with the error above. Then run again.")
    (venv / f"{stamp}-{'test' if test else 'runtime'}").touch()
    return True


def newer_python():
    """Path of a Python this project can use when the one running is too old, or None."""
    for minor in (12, 11, 13, 14):
        path = shutil.which(f"python3.{minor}")
        if path and subprocess.run([path, "-c", "import venv"], capture_output=True).returncode == 0:
            return path
    return None


def main():
    """Read the arguments, change to a newer Python where needed, install."""
    if os.name == "nt":
        raise SystemExit(
            "`make` and this script need Linux or macOS. On Windows run Promptoscope in the Windows Subsystem for "
            "Linux (WSL) or in a container: docs/how-to/run-with-docker.md."
        )
    if sys.version_info[:2] < OLDEST_PYTHON:
        python = newer_python()
        if python is None:
            raise SystemExit(
                f"Promptoscope needs Python 3.11 or newer; {sys.executable} is {platform.python_version()}. "
                "Install a newer one, or name it: make PYTHON=/path/to/python3.12 run"
            )
        os.execv(python, [python, *sys.argv])
    parser = argparse.ArgumentParser(description="Make the virtual environment of this checkout.")
    parser.add_argument("--venv", type=Path, default=ROOT / ".venv", help="folder of the environment")
    parser.add_argument("--test", action="store_true", help="with the tools that tests, format and types need")
    arguments = parser.parse_args()
    install(arguments.venv, arguments.test)


if __name__ == "__main__":
    main()
