"""Who asks the site may not name folders of its machine, unless a setting lets them; the command line may."""

from __future__ import annotations

from pathlib import Path

import pytest

from app.services.context import open_context
from app.services.training import check_request
from core.backbones.catalogue import names_folder
from core.errors import InvalidInput, NotAllowed, NotFound
from core.records.runs import RunRequest
from core.settings import Settings
from tests.builders import tiny_backbone_folder
from training_jobs.run_job import _check_folders

URL = "/api/v1/jobs"


@pytest.mark.parametrize(
    "name", ["local-dir:/models/x", "/etc", "../backbones", "~", "~root/x", ".", "..", "a/b", "a\\b", "local-dir:x"]
)
def test_a_request_with_a_folder_is_refused_without_a_look_at_the_disk(client, uploaded, error_of, name, monkeypatch):
    def look(*_, **__):
        raise AssertionError("the disk was asked")

    monkeypatch.setattr("core.backbones.catalogue._given_folder", look)
    monkeypatch.setattr("core.backbones.catalogue._is_folder", look)
    asked = {"image_set": uploaded["id"], "method": "coop", "shots": 2, "backbone": name}
    error = error_of(client.post(URL, json=asked), 403)
    assert error["message"] == (
        "A backbone must be named, not given as a folder of this machine; the request names a folder. "
        "Choose one from the list, or have the machine's owner set PROMPTOSCOPE_ALLOW_FOLDERS=true."
    )
    assert client.get(URL).json()["total"] == 0


@pytest.mark.parametrize("name", ["embedded", "biomedclip", "nosuch", "hf-hub:owner/name", "some.model"])
def test_names_are_no_folders(name):
    assert not names_folder(name)


@pytest.mark.parametrize("name", ["/etc", "local-dir:/etc", "../x", "a/b/c", ".", "hf-hub:../../x"])
def test_a_language_model_is_named_as_well(client, uploaded, error_of, name):
    asked = {"image_set": uploaded["id"], "method": "cilmp", "shots": 2, "options": {"language_model": name}}
    error = error_of(client.post(URL, json=asked), 403)
    assert error["message"].startswith("A language model must be named, not given as a folder of this machine")


@pytest.mark.parametrize("name", ["/etc", "local-dir:/etc", "../x", "a/b/c", ".", "~"])
def test_an_image_encoder_is_named_as_well(client, uploaded, error_of, name):
    asked = {"image_set": uploaded["id"], "method": "image_probe", "shots": 2, "options": {"encoder": name}}
    error = error_of(client.post(URL, json=asked), 403)
    assert error["message"].startswith("An image encoder must be named, not given as a folder of this machine")


def test_the_setting_lets_folders_in(context, uploaded, tmp_path):
    ctx = open_context(Settings(home=context.home, allow_folders=True))
    asked = {"image_set": uploaded["id"], "method": "coop", "shots": 2}
    try:
        found = check_request(ctx, asked | {"backbone": f"local-dir:{tiny_backbone_folder()}"})
        assert found.request.backbone == f"local-dir:{tiny_backbone_folder()}"
        with pytest.raises(NotFound, match="A backbone folder must hold open_clip_config"):
            check_request(ctx, asked | {"backbone": f"local-dir:{tmp_path}"})
        with pytest.raises(InvalidInput, match="must hold a causal language model"):
            check_request(ctx, asked | {"method": "cilmp", "options": {"language_model": str(tmp_path)}})
    finally:
        ctx.close()


@pytest.mark.parametrize(
    "request_",
    [{"backbone": "local-dir:/x"}, {"options": {"language_model": "/x"}}, {"options": {"encoder": "/x"}}],
    ids=["backbone", "model", "encoder"],
)
def test_a_waiting_job_is_asked_again_when_it_begins(tmp_path: Path, request_):
    asked = RunRequest("01set", "cilmp", **request_)
    with pytest.raises(NotAllowed, match="not given as a folder of this machine"):
        _check_folders(asked, Settings(home=tmp_path))
    _check_folders(RunRequest("01set", "coop"), Settings(home=tmp_path))


@pytest.mark.parametrize("backbone", ["../../../../etc", "/etc", "a\0b", "..", "local-dir:/x", "x" * 3000])
def test_the_preset_of_an_odd_name_leads_nowhere(client, backbone):
    found = client.get("/api/v1/methods/coop", params={"backbone": backbone})
    assert found.status_code in (200, 422)
    if found.status_code == 200:
        assert found.json()["presets"]["default"] == {}
