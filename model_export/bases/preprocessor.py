"""How a base wants its audio prepared, by what transformers saved beside it."""

import json
from pathlib import Path
from typing import Any

from model_export.errors import BaseUnavailable

PREPROCESSOR_FILE = "preprocessor_config.json"
# Of a feature extractor and tokenizer together; the settings are one level down, and come first.
PROCESSOR_FILE = "processor_config.json"
SETTINGS_FILES = (PROCESSOR_FILE, PREPROCESSOR_FILE)
NESTED = ("feature_extractor", "audio_processor")


def read_preprocessor(folder: Path) -> dict[str, Any]:
    """Read the settings of a base's feature extractor.

    Returns:
        what the base says, which may be nothing: then transformers' defaults are meant.

    Raises:
        BaseUnavailable: a file is damaged.
    """
    processor = _settings(folder / PROCESSOR_FILE)
    for name in NESTED:
        if isinstance(nested := processor.get(name), dict):
            return nested
    return _settings(folder / PREPROCESSOR_FILE)


def _settings(path: Path) -> dict[str, Any]:
    if not path.is_file():
        return {}
    try:
        settings = json.loads(path.read_bytes())
    except ValueError as error:
        raise BaseUnavailable(f"{path} is damaged: {error}") from error
    if not isinstance(settings, dict):
        raise BaseUnavailable(f"{path} holds {type(settings).__name__}, no settings")
    return settings
