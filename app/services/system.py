"""Whether the server lives, is ready, and what a person should mend on this machine."""

from __future__ import annotations

import os
import platform
import shutil
from collections.abc import Callable
from importlib.metadata import PackageNotFoundError, version
from typing import Literal

from app.services.context import Context
from core.errors import PromptoscopeError
from core.records import migrate
from core.settings import Settings

Status = Literal["pass", "warn", "fail"]
ENOUGH_GB, LITTLE_GB = 10, 2
TRIED = (("Linux", "x86_64"), ("Linux", "amd64"))
PACKAGES = ("torch", "open-clip-torch", "timm", "transformers", "gradio", "fastapi", "sqlalchemy", "pillow")


def health(ctx: Context) -> dict[str, str]:
    """The server runs."""
    return {"status": "ok"}


def ready(ctx: Context) -> dict[str, str]:
    """Whether the database answers and has the tables this code knows."""
    try:
        is_current = migrate.is_current(ctx.settings.database)
    except PromptoscopeError:
        is_current = False
    return {"status": "ok" if is_current else "unavailable"}


def doctor(ctx: Context | None = None, settings: Settings | None = None) -> list[dict[str, str]]:
    """What works on this machine and what does not: [{check, status, message, fix}]. Changes nothing."""
    settings = settings or (ctx.settings if ctx else Settings())
    checks: dict[str, Callable[[Settings], dict[str, str]]] = {
        "system": _system,
        "python": _python,
        "packages": _packages,
        "home": _home,
        "disk": _disk,
        "database": _database,
        "worker": _worker,
        "backbone": _backbone,
        "device": _device,
        "language model": _language_model,
    }
    return [{"check": name, **_tried(check, settings)} for name, check in checks.items()]


def _tried(check: Callable[[Settings], dict[str, str]], settings: Settings) -> dict[str, str]:
    try:
        return check(settings)
    except PromptoscopeError as error:
        return _finding("fail", f"{error.expected}; {error.found}", error.remedy)
    except Exception as error:  # a check that breaks is a finding, and the others still run
        return _finding("fail", f"{type(error).__name__}: {error}", "Install Promptoscope again.")


def _finding(status: Status, message: str, fix: str = "") -> dict[str, str]:
    return {"status": status, "message": message, "fix": fix}


def _system(settings: Settings) -> dict[str, str]:
    """Whether Promptoscope has been tried on this kind of machine."""
    system, machine = platform.system(), platform.machine()
    if (system, machine.lower()) in TRIED:
        return _finding("pass", f"{system} on {machine}")
    where = "Windows' Subsystem for Linux (WSL)" if system == "Windows" else "a container"
    return _finding(
        "warn", f"{system or 'This system'} on {machine}: not tried yet", f"If something fails, run it in {where}."
    )


def _python(settings: Settings) -> dict[str, str]:
    return _finding("pass", f"Python {platform.python_version()}")


def _packages(settings: Settings) -> dict[str, str]:
    missing, found = [], []
    for name in PACKAGES:
        try:
            found.append(f"{name} {version(name)}")
        except PackageNotFoundError:
            missing.append(name)
    if missing:
        return _finding("fail", f"Missing: {', '.join(missing)}", "Run `pip install -e .` in the project folder.")
    return _finding("pass", ", ".join(found))


def _home(settings: Settings) -> dict[str, str]:
    home = settings.home
    if not home.exists():
        return _finding("warn", f"{home} does not exist yet", "The first command that needs it makes it.")
    if not os.access(home, os.W_OK):
        return _finding("fail", f"{home} cannot be written", "Set PROMPTOSCOPE_HOME to a folder of yours.")
    if os.name == "posix" and home.stat().st_mode & 0o077:
        return _finding("warn", f"Other users may enter {home}", f"Run `chmod 700 {home}`.")
    return _finding("pass", f"{home} can be written and is private")


def _disk(settings: Settings) -> dict[str, str]:
    place = next(folder for folder in (settings.home, *settings.home.absolute().parents) if folder.exists())
    free_gb = shutil.disk_usage(place).free / 1e9
    status: Status = "pass" if free_gb >= ENOUGH_GB else "warn" if free_gb >= LITTLE_GB else "fail"
    return _finding(status, f"{free_gb:.0f} GB free", "" if status == "pass" else "Free some space.")


def _database(settings: Settings) -> dict[str, str]:
    state = migrate.check(settings.database)
    if state.standing == "current":
        return _finding("pass", f"The database has revision {state.revision}")
    if state.standing == "empty":
        return _finding("warn", "There is no database yet", "The first command that needs it makes it.")
    if state.standing == "older":
        return _finding("warn", f"The database has revision {state.revision}", "Run `promptoscope db upgrade`.")
    return _finding("fail", "The database is newer than this program", "Install the newer program.")


def _worker(settings: Settings) -> dict[str, str]:
    from app.services.context import open_context
    from app.services.jobs import list_workers

    if migrate.check(settings.database).standing != "current":
        return _finding("warn", "No worker runs", "`promptoscope serve` starts one.")
    context = open_context(settings)
    try:
        workers = list_workers(context)
    finally:
        context.close()
    if not workers:
        return _finding("warn", "No worker runs", "`promptoscope serve` starts one, `promptoscope worker` too.")
    return _finding("pass", f"{len(workers)} running")


def _backbone(settings: Settings) -> dict[str, str]:
    from core.backbones.check import check_backbone

    rows = check_backbone("embedded", settings.home)
    failed = next((row for row in rows if row["status"] == "fail"), None)
    if failed:
        return _finding("fail", f"Embedded backbone, {failed['check']}: {failed['message']}", failed["fix"])
    return _finding("pass", f"The embedded backbone passes {len(rows)} checks")


def _device(settings: Settings) -> dict[str, str]:
    import torch

    if torch.cuda.is_available():
        return _finding("pass", f"GPU: {torch.cuda.get_device_name(0)}")
    return _finding("pass", f"No GPU: training runs on {torch.get_num_threads()} processor threads")


def _language_model(settings: Settings) -> dict[str, str]:
    """Whether one is configured; it is not asked, since that may cost money."""
    from core.descriptions.writing.address import check_encryption, completions_url
    from core.descriptions.writing.order import caps_of, endpoint_of, is_configured

    if not is_configured(settings):
        fix = "To have descriptions written, set PROMPTOSCOPE_LLM_BASE_URL and PROMPTOSCOPE_LLM_MODEL."
        return _finding("pass", "No language model is configured: people write the descriptions", fix)
    base, model = endpoint_of(settings)
    url = completions_url(base)
    check_encryption(url, allowed=settings.llm_allow_http)
    caps_of(settings, local=False)
    key = "with a key" if settings.llm_api_key else "without a key"
    return _finding("pass", f"Descriptions are written by '{model}' at {url.host}, {key}")
