import json
import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from huggingface_hub import close_session, constants

from model_export.bases.files import CONFIG_FILE
from model_export.bases.hub import commit_of, fetch
from model_export.bases.preprocessor import PREPROCESSOR_FILE, SETTINGS_FILES
from model_export.errors import BaseUnavailable
from tests.support.fake_hub import FakeHub, commit, running_hub

NAME = "someone/a-model"
FETCH = """
import sys
from model_export.errors import BaseUnavailable
from model_export.bases.preprocessor import PREPROCESSOR_FILE, SETTINGS_FILES
from model_export.bases.hub import fetch
try:
    print(fetch(*sys.argv[1:]))
except BaseUnavailable as error:
    sys.exit(str(error))
"""


def repository(folder: Path, *names: str) -> Path:
    """Files as a hub's repository has them; nobody looks into the weights here."""
    folder.mkdir()
    for name in (CONFIG_FILE, *names):
        (folder / name).write_text(json.dumps({"file": name, "of": folder.name}))
    return folder


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeHub]:
    """A hub that the client in this process asks, and an empty cache."""
    with running_hub() as hub:
        monkeypatch.setattr(constants, "ENDPOINT", hub.url)
        template = hub.url + "/{repo_id}/resolve/{revision}/{filename}"
        monkeypatch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", template)
        monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "cache"))
        monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
        monkeypatch.setenv("NO_PROXY", "127.0.0.1")
        close_session()
        yield hub
    close_session()


def run_fetch(cache: Path, *arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    """Fetch in a process of its own: the client reads its settings once."""
    return subprocess.run(
        [sys.executable, "-c", FETCH, *arguments],
        env={**os.environ, "HF_HUB_CACHE": str(cache), "NO_PROXY": "127.0.0.1", **variables},
        capture_output=True,
        text=True,
        check=False,
    )


def test_a_process_takes_hub_and_cache_from_the_environment(tmp_path: Path) -> None:
    files = repository(tmp_path / "files", PREPROCESSOR_FILE, "model.safetensors")
    with running_hub() as hub:
        hub.revisions[NAME, "main"] = files
        found = run_fetch(tmp_path / "cache", NAME, HF_ENDPOINT=hub.url)
    assert found.returncode == 0, found.stderr
    folder = Path(found.stdout.strip())
    assert folder.is_relative_to(tmp_path / "cache")
    assert {file.name: file.read_bytes() for file in folder.iterdir()} == {
        file.name: file.read_bytes() for file in files.iterdir()
    }


def test_offline_the_cache_is_enough(hub: FakeHub, tmp_path: Path) -> None:
    hub.revisions[NAME, "main"] = repository(tmp_path / "files", "pytorch_model.bin")
    folder = fetch(NAME)
    offline = run_fetch(tmp_path / "cache", NAME, HF_HUB_OFFLINE="1")
    assert (offline.stdout.strip(), offline.returncode) == (str(folder), 0), offline.stderr


def test_offline_what_the_cache_lacks_is_said(tmp_path: Path) -> None:
    offline = run_fetch(tmp_path / "cache", NAME, "v1", HF_HUB_OFFLINE="1")
    assert offline.returncode == 1
    assert "HF_HUB_OFFLINE forbids" in offline.stderr
    assert f"`hf download {NAME} --revision v1`" in offline.stderr
    assert offline.stderr.count("\n") == 1


def test_a_hub_that_nobody_answers_for_is_given_up_at_once(
    hub: FakeHub, monkeypatch: pytest.MonkeyPatch
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    monkeypatch.setattr(constants, "ENDPOINT", f"http://127.0.0.1:{port}")
    waits = []
    monkeypatch.setattr("time.sleep", waits.append)
    with pytest.raises(BaseUnavailable, match="is neither a local folder nor in the cache") as info:
        fetch(NAME)
    assert waits == []
    assert f"127.0.0.1:{port} cannot be reached" in str(info.value)
    assert "HF_HOME" in str(info.value)
    assert "\n" not in str(info.value)


def test_a_hub_that_says_nothing_is_given_up(hub: FakeHub, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("model_export.bases.hub.REACHING_TIMEOUT_S", 0.05)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        monkeypatch.setattr(constants, "ENDPOINT", f"http://127.0.0.1:{silent.getsockname()[1]}")
        with pytest.raises(BaseUnavailable, match="cannot be reached"):
            fetch(NAME)


def test_revisions_are_told_apart(hub: FakeHub, tmp_path: Path) -> None:
    files = {
        revision: repository(tmp_path / revision, PREPROCESSOR_FILE, "model.safetensors")
        for revision in ("main", "v1")
    }
    hub.revisions = {(NAME, revision): folder for revision, folder in files.items()}
    main, tag, by_commit = (fetch(NAME, revision) for revision in (None, "v1", commit(files["v1"])))
    assert json.loads((main / CONFIG_FILE).read_text())["of"] == "main"
    assert json.loads((tag / CONFIG_FILE).read_text())["of"] == "v1"
    assert tag == by_commit
    assert commit_of(tag) == commit(files["v1"])


def test_other_folders_have_no_commit(tmp_path: Path) -> None:
    assert commit_of(tmp_path) is None
    assert commit_of(tmp_path / "snapshots" / "main") is None


@pytest.mark.parametrize("settings", SETTINGS_FILES)
def test_what_is_cached_is_not_asked_for(hub: FakeHub, tmp_path: Path, settings: str) -> None:
    hub.revisions[NAME, "main"] = repository(tmp_path / "files", settings, "model.safetensors")
    folder = fetch(NAME)
    hub.asked.clear()
    assert fetch(NAME) == fetch(NAME, commit_of(folder)) == folder
    assert hub.asked == []


def test_what_the_cache_has_in_part_is_completed(hub: FakeHub, tmp_path: Path) -> None:
    files = repository(tmp_path / "files", PREPROCESSOR_FILE, "model.safetensors")
    hub.revisions[NAME, "main"] = files
    folder = fetch(NAME)
    for name in ("model.safetensors", PREPROCESSOR_FILE):
        (folder / name).unlink()
        assert (fetch(NAME) / name).read_bytes() == (files / name).read_bytes()


def test_a_cached_model_outlives_its_hub(hub: FakeHub, tmp_path: Path) -> None:
    hub.revisions[NAME, "main"] = repository(tmp_path / "files", "model.safetensors")
    folder = fetch(NAME)
    hub.failing = 500
    assert fetch(NAME) == folder


def test_only_one_form_of_the_weights_is_fetched(hub: FakeHub, tmp_path: Path) -> None:
    hub.revisions[NAME, "main"] = repository(
        tmp_path / "files",
        "model.safetensors",
        "model.fp16.safetensors",
        "adapter.eng.safetensors",
        "pytorch_model.bin",
        "tf_model.h5",
        "vocab.json",
    )
    fetch(NAME)
    assert hub.fetched() == {CONFIG_FILE, "model.safetensors"}


def test_shards_are_fetched_with_their_index(hub: FakeHub, tmp_path: Path) -> None:
    shards = ["pytorch_model-00001-of-00002.bin", "pytorch_model-00002-of-00002.bin"]
    files = repository(tmp_path / "files", "training_args.bin", *shards)
    index = {"weight_map": dict(zip("ab", shards, strict=True))}
    (files / "pytorch_model.bin.index.json").write_text(json.dumps(index))
    hub.revisions[NAME, "main"] = files
    fetch(NAME)
    assert hub.fetched() == {CONFIG_FILE, "pytorch_model.bin.index.json", *shards}


def test_a_model_without_loadable_weights_is_left_there(hub: FakeHub, tmp_path: Path) -> None:
    hub.revisions[NAME, "main"] = repository(tmp_path / "files", "tf_model.h5")
    with pytest.raises(BaseUnavailable, match=r"holds no weights.*model\.safetensors, "):
        fetch(NAME)
    assert hub.fetched() == set()


@pytest.mark.parametrize("name", ["/no/such/folder", "no/such/folder", "a--b/c", "a/b@v1", "@v1"])
def test_what_cannot_be_a_name_is_quoted(hub: FakeHub, name: str) -> None:
    with pytest.raises(BaseUnavailable, match=f"'{name}' is neither .* nor a name on the hub"):
        fetch(name)
    assert hub.asked == []


def test_unknown_revisions_are_named(hub: FakeHub, tmp_path: Path) -> None:
    hub.revisions[NAME, "main"] = repository(tmp_path / "files", "model.safetensors")
    with pytest.raises(BaseUnavailable, match=r"'someone/a-model' has no revision 'v9'") as info:
        fetch(NAME, "v9")
    assert "\n" not in str(info.value)
    hub.revisions = {(NAME, "v1"): tmp_path / "files"}
    with pytest.raises(BaseUnavailable, match="has no revision 'main'"):
        fetch(NAME)


def test_unknown_and_private_models_look_alike(hub: FakeHub) -> None:
    with pytest.raises(BaseUnavailable, match=r"no public model on .*; if private, log in") as info:
        fetch(NAME)
    assert "\n" not in str(info.value)


def test_gated_models_need_a_login(hub: FakeHub, tmp_path: Path) -> None:
    hub.revisions[NAME, "main"] = repository(tmp_path / "files", "model.safetensors")
    hub.gated.add(NAME)
    with pytest.raises(BaseUnavailable, match=r"is gated: .*/someone/a-model, then log in") as info:
        fetch(NAME)
    assert "hf auth login" in str(info.value)


@pytest.mark.parametrize(("status", "advice"), [(403, True), (500, False)])
def test_refusals_are_quoted(hub: FakeHub, status: int, advice: bool) -> None:
    hub.failing = status
    with pytest.raises(BaseUnavailable, match=f"is not given by.*{status}") as info:
        fetch(NAME)
    assert ("hf auth login" in str(info.value)) == advice
    assert "\n" not in str(info.value)
