"""Write the licences of what an image is locked to, as Markdown, from an SBOM of CycloneDX.

python docker/licences.py SBOM > docker/requirements/licences.md
"""

import json
import sys
from pathlib import Path
from typing import Any

CLASSIFIER = "License :: OSI Approved :: "
LONGEST_TEXT = 60  # some packages put the whole licence where its name belongs
HEAD = "# Licences\n\nOf the packages in `cpu.txt`, as they state them; written by `make lock`.\n"


def main() -> None:
    """Print a line for each package, in order of the names."""
    components = json.loads(Path(sys.argv[1]).read_text())["components"]
    rows = sorted((one["name"].lower(), one["version"], licences_of(one)) for one in components)
    print(HEAD)
    print("| package | version | licence |\n|---|---|---|")
    for row in rows:
        print(f"| {' | '.join(row)} |")


def licences_of(component: dict[str, Any]) -> str:
    """All that a package states, each once."""
    stated = [_name(choice) for choice in component.get("licenses", ())]
    return "; ".join(dict.fromkeys(filter(None, stated))) or "none stated"


def _name(choice: dict[str, Any]) -> str:
    licence = choice.get("license", {})
    name: str = choice.get("expression") or licence.get("id") or licence.get("name", "")
    return name.partition("\n")[0].removeprefix(CLASSIFIER)[:LONGEST_TEXT]


if __name__ == "__main__":
    main()
