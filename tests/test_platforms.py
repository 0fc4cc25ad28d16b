"""What another operating system lacks: every module imports without it, and a training runs.

Stand-ins on the machine that runs the tests: modules and functions that Windows does not have are hidden.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from app.services import system
from core.settings import Settings
from tests.test_packaging import script

ROOT = Path(__file__).resolve().parents[1]

LACKING = """
import importlib, os, pathlib, pkgutil, signal, sys, tempfile
import asyncio, concurrent.futures, multiprocessing, tarfile, shutil, getpass, logging.handlers
import alembic.command, gradio, matplotlib.pyplot, open_clip, psutil, pytorch_grad_cam, sklearn.linear_model, timm
import torch, transformers, uvicorn
from transformers import AutoModelForCausalLM, BertModel

# the lock files of filelock stay: it has chosen its POSIX part on this machine, which needs more of os than we do
MODULES = {"resource", "fcntl", "pwd", "grp", "termios", "syslog", "tty", "pty"}
ATTRIBUTES = {
    os: ("nice", "killpg", "getpgid", "getpgrp", "setsid", "getsid", "sync", "fork", "getuid", "geteuid", "getgid",
         "setpgid", "chown", "fchown", "O_DIRECTORY", "statvfs", "sysconf",
         "sched_getaffinity", "uname", "mkfifo", "getloadavg", "wait3", "wait4", "posix_fallocate", "posix_fadvise"),
    signal: ("SIGKILL", "SIGHUP", "SIGUSR1", "SIGUSR2", "SIGSTOP", "SIGCONT", "SIGCHLD", "SIGALRM", "SIGQUIT",
             "alarm", "setitimer", "pthread_kill", "pthread_sigmask"),
}

class Hidden:
    def find_spec(self, name, path=None, target=None):
        if name in MODULES:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)

for name in MODULES:
    sys.modules.pop(name, None)
sys.meta_path.insert(0, Hidden())
for module, names in ATTRIBUTES.items():
    for name in names:
        if hasattr(module, name):
            delattr(module, name)

for package in ("core", "training_jobs", "app"):
    root = importlib.import_module(package)
    for found in pkgutil.walk_packages(root.__path__, package + "."):
        if not found.name.endswith("__main__"):
            importlib.import_module(found.name)
importlib.import_module("training_jobs.__main__")
importlib.import_module("benchmarks.training_speed")

from types import SimpleNamespace
from core import peak_memory
from training_jobs import processes
assert peak_memory.resource is None and not processes.HAS_GROUPS
# the figure that Windows keeps in its place
peak_memory.psutil = SimpleNamespace(
    Process=lambda: SimpleNamespace(memory_info=lambda: SimpleNamespace(peak_wset=7 * 1024 * 1024)))

from core import train
from core.images.phantoms import make_phantoms
from core.images.read import read_image_set
from core.images.store import FileStore
from tests.builders import tiny_backbone

with tempfile.TemporaryDirectory() as folder:
    folder = pathlib.Path(folder)
    FileStore(folder / "store").put(b"bytes")
    FileStore(folder / "store").flush()
    make_phantoms(folder / "pictures", per_class=(4, 1), size_px=64)
    run = train(read_image_set(folder / "pictures"), "coop", backbone=tiny_backbone(), shots=2, epochs=1, views=1,
                home=folder / "home", out=folder / "model")
    print(run.record["peak_mb"], run.record["epochs"])
"""


def test_every_module_imports_and_a_training_runs_without_what_windows_lacks():
    done = subprocess.run([sys.executable, "-c", LACKING], cwd=ROOT, capture_output=True, text=True, timeout=280)
    assert done.returncode == 0, done.stderr[-3000:]
    assert done.stdout.splitlines()[-1] == "7.0 1"


@pytest.mark.parametrize(
    ("name", "machine", "status", "fix"),
    [
        ("Linux", "x86_64", "pass", ""),
        ("Linux", "aarch64", "warn", "If something fails, run it in a container."),
        ("Darwin", "arm64", "warn", "If something fails, run it in a container."),
        ("Windows", "AMD64", "warn", "If something fails, run it in Windows' Subsystem for Linux (WSL)."),
    ],
)
def test_the_doctor_says_where_it_was_tried(monkeypatch, tmp_path, name, machine, status, fix):
    monkeypatch.setattr("platform.system", lambda: name)
    monkeypatch.setattr("platform.machine", lambda: machine)
    found = system._system(Settings(home=tmp_path))
    assert (found["status"], found["fix"]) == (status, fix)
    assert found["message"].startswith(f"{name} on {machine}")


def test_windows_is_not_told_to_mend_permissions_it_does_not_have(monkeypatch, tmp_path):
    tmp_path.chmod(0o755)
    assert system._home(Settings(home=tmp_path))["fix"] == f"Run `chmod 700 {tmp_path}`."
    monkeypatch.setattr(system, "os", type("Windows", (), {"name": "nt", "access": lambda *_: True, "W_OK": 2}))
    assert system._home(Settings(home=tmp_path))["status"] == "pass"


def test_the_installer_names_the_way_on_windows(monkeypatch):
    module = script("install")
    monkeypatch.setattr(module, "os", type("Windows", (), {"name": "nt"}))
    with pytest.raises(SystemExit, match=r"need Linux or macOS.*Windows Subsystem for Linux \(WSL\) or in a container"):
        module.main()


def test_the_readme_says_what_was_tried_where():
    text = (ROOT / "README.md").read_text("utf-8")
    for system_name in ("Linux", "macOS", "Windows"):
        assert system_name in text.split("## Systems", 1)[1].split("\n## ", 1)[0]
