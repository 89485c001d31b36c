"""Bases of a model hub: from its cache on this disk, or else fetched.

Where the cache lies and which hub is asked is up to the hub's own client: HF_HOME, HF_ENDPOINT,
HF_TOKEN and HF_HUB_OFFLINE mean what they mean everywhere.
"""

import re
from pathlib import Path

from huggingface_hub import HfApi, constants, snapshot_download, try_to_load_from_cache

# Each version of the hub's client has an HTTP library of its own; this is its base of all errors.
from huggingface_hub.errors import (  # type: ignore[attr-defined]
    GatedRepoError,
    HfHubHTTPError,
    HFValidationError,
    HTTPError,
    LocalEntryNotFoundError,
    OfflineModeIsEnabled,
    RepositoryNotFoundError,
    RevisionNotFoundError,
)

from model_export.bases.files import CONFIG_FILE, TOKENIZER_FILE, weight_files, weight_form
from model_export.bases.preprocessor import SETTINGS_FILES
from model_export.errors import BaseUnavailable, one_line

REACHING_TIMEOUT_S = 10.0
LOG_IN = "log in with `hf auth login` or set HF_TOKEN"


def fetch(name: str, revision: str | None = None) -> Path:
    """Folder with the files of a model.

    What the cache has is taken from there, and the hub is not asked whether a branch moved on.
    It is asked when something is missing.

    Args:
        name: on the hub.
        revision: branch, tag or commit; None is the main branch.

    Raises:
        BaseUnavailable: the cache lacks it, and the hub does not have it or does not give it.
    """
    cached = _cached(name, revision)
    if cached is not None and any((cached / name).is_file() for name in SETTINGS_FILES):
        return cached
    try:
        return _download(name, revision)
    except BaseUnavailable:
        if cached is None:
            raise
        return cached


def commit_of(folder: Path) -> str | None:
    """Commit that a folder of the hub's cache holds; None for any other folder."""
    in_cache = folder.parent.name == "snapshots" and re.fullmatch(r"[0-9a-f]{40}", folder.name)
    return folder.name if in_cache else None


def _cached(name: str, revision: str | None) -> Path | None:
    """Folder of the cache, if configuration and weights lie there entirely."""
    try:
        config = try_to_load_from_cache(name, CONFIG_FILE, revision=revision)
    except HFValidationError as error:
        raise BaseUnavailable(
            f"{name!r} is neither a local folder nor a name on the hub "
            "(namespace/name; a revision has an option of its own)"
        ) from error
    if not isinstance(config, str):
        return None
    folder = Path(config).parent
    try:
        weight_files(folder)
    except BaseUnavailable:
        return None
    return folder


def _download(name: str, revision: str | None) -> Path:
    try:
        # Asked first because it has a time limit and does not retry: a firewall that drops packets
        # would otherwise hold us up for minutes.
        found = HfApi().model_info(name, revision=revision, timeout=REACHING_TIMEOUT_S)
        names = [file.rfilename for file in found.siblings or ()]
        form = weight_form(names, f"{name!r} on {constants.ENDPOINT}")
        plain = (CONFIG_FILE, TOKENIZER_FILE, *SETTINGS_FILES)
        wanted = [*plain, form.file, *filter(None, [form.shards])]
        return Path(snapshot_download(name, revision=revision, allow_patterns=wanted))
    except (HTTPError, OSError) as error:
        raise BaseUnavailable(_explain(error, name, revision)) from error


def _explain(error: Exception, name: str, revision: str | None) -> str:
    hub = constants.ENDPOINT
    match error:
        case GatedRepoError():
            reason = f"is gated: ask for access at {hub}/{name}, then {LOG_IN}"
        case RevisionNotFoundError():
            reason = f"has no revision {revision or constants.DEFAULT_REVISION!r} on {hub}"
        case RepositoryNotFoundError():
            reason = f"is no local folder, and no public model on {hub}; if private, {LOG_IN}"
        case HfHubHTTPError():
            remedy = f"; {LOG_IN}" if error.response.status_code in (401, 403) else ""
            reason = f"is not given by {hub}: {one_line(error)}{remedy}"
        case OfflineModeIsEnabled():
            reason = _absent(name, revision, "HF_HUB_OFFLINE forbids to fetch it")
        case HTTPError() | LocalEntryNotFoundError():
            reason = _absent(name, revision, f"{hub} cannot be reached ({one_line(error)})")
        case _:
            reason = f"cannot be fetched: {one_line(error)}"
    return f"{name!r} {reason}"


def _absent(name: str, revision: str | None, reason: str) -> str:
    wanted = name if revision is None else f"{name} --revision {revision}"
    return (
        f"is neither a local folder nor in the cache {constants.HF_HUB_CACHE}, and {reason}; "
        f"run `hf download {wanted}` where there is a network and copy the cache here (HF_HOME "
        "says where it lies), or copy the folder it prints and name that instead"
    )
