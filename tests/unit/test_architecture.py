"""The rules of the layout: who imports whom, who reads the environment, how long things get.

The contracts themselves are in pyproject.toml; here each is shown to notice a violation.
"""

import ast
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = ("service", "model_export")
LONGEST_MODULE_LINES = 300
LONGEST_FUNCTION_LINES = 60
SOURCES = [path for package in PACKAGES for path in sorted((ROOT / package).rglob("*.py"))]

# Stands before every import of a subprocess; these are absent where only `.[cpu]` is installed.
BLOCK_OFFLINE_PACKAGES = """
import sys

class Blocker:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {"torch", "transformers", "onnx", "safetensors", "jiwer"}:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)

sys.meta_path.insert(0, Blocker())
"""


def _name(path: Path) -> str:
    return str(path.relative_to(ROOT))


def _lint_imports(tree: Path) -> subprocess.CompletedProcess[str]:
    code = (
        "from importlinter.cli import lint_imports; raise SystemExit(lint_imports(no_cache=True))"
    )
    return subprocess.run(
        [sys.executable, "-P", "-c", f"import sys; sys.path.insert(0, '.'); {code}"],
        cwd=tree,
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.fixture
def tree(tmp_path):
    for package in PACKAGES:
        shutil.copytree(
            ROOT / package,
            tmp_path / package,
            ignore=lambda folder, names: [
                name
                for name in names
                if not name.endswith(".py") and not (Path(folder) / name).is_dir()
            ],
        )
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    return tmp_path


def test_the_tree_keeps_every_contract(tree):
    outcome = _lint_imports(tree)

    assert outcome.returncode == 0, outcome.stdout + outcome.stderr
    assert "0 broken" in outcome.stdout


@pytest.mark.parametrize(
    ("module", "planted", "broken_contract"),
    [
        pytest.param(
            "service/ctc.py",
            "import model_export.transcripts.normalisation",
            "offline code never reaches the server",
            id="service imports model_export",
        ),
        pytest.param(
            "service/audio.py",
            "from transformers import AutoConfig",
            "offline code never reaches the server",
            id="service imports transformers",
        ),
        pytest.param(
            "service/ctc.py",
            "from fastapi import Request",
            "web frameworks stay at the edge of the service",
            id="ctc imports fastapi",
        ),
        pytest.param(
            "service/transcriber.py",
            "def late():\n    import torch",
            "model runtimes stay in service.backends",
            id="transcriber imports torch inside a function",
        ),
        pytest.param(
            "service/errors.py",
            "from service.bundle import Manifest",
            "service layers, high to low",
            id="errors imports bundle",
        ),
        pytest.param(
            "service/packing.py",
            "from service import transcriber",
            "service layers, high to low",
            id="packing imports transcriber",
        ),
        pytest.param(
            "service/helpers.py",
            "",
            "service layers, high to low",
            id="a module without a layer",
        ),
        pytest.param(
            "model_export/transcripts/normalisation.py",
            "from service.transcriber import Transcriber",
            "offline code takes from the service only what has one owner",
            id="model_export imports the transcriber",
        ),
        pytest.param(
            "model_export/front_ends/log_mel.py",
            "from model_export.mixing.surgery import replace_attention",
            "model_export layers, high to low",
            id="log_mel imports surgery",
        ),
        pytest.param(
            "model_export/training/schedule.py",
            "from model_export.training import trainer, finetune",
            "no cycles, inside the packages either",
            id="schedule imports what imports it",
        ),
    ],
)
def test_a_planted_violation_breaks_its_contract(tree, module, planted, broken_contract):
    with (tree / module).open("a") as source:
        source.write(f"\n{planted}\n")

    outcome = _lint_imports(tree)

    assert outcome.returncode == 1, outcome.stdout + outcome.stderr
    assert f"{broken_contract} BROKEN" in outcome.stdout


@pytest.mark.parametrize("path", SOURCES, ids=_name)
def test_only_config_reads_the_environment(path):
    if _name(path) == "service/config.py":
        return
    found = [
        node.lineno
        for node in ast.walk(ast.parse(path.read_text()))
        if (isinstance(node, ast.Attribute) and node.attr in {"environ", "environb", "getenv"})
        or (isinstance(node, ast.alias) and node.name in {"environ", "environb", "getenv"})
    ]
    assert not found, f"{_name(path)} reads the environment in lines {found}"


@pytest.mark.parametrize("path", SOURCES, ids=_name)
def test_modules_and_functions_stay_short(path):
    source = path.read_text()
    too_long = [
        f"{node.name} ({node.end_lineno - node.lineno + 1} lines)"
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        and node.end_lineno - node.lineno + 1 > LONGEST_FUNCTION_LINES
    ]
    assert not too_long, f"over {LONGEST_FUNCTION_LINES} lines: {', '.join(too_long)}"
    assert len(source.splitlines()) <= LONGEST_MODULE_LINES


@pytest.mark.parametrize("module", ["service.app", "service.cli"])
def test_the_service_imports_without_the_offline_packages(module):
    outcome = subprocess.run(
        [sys.executable, "-c", f"{BLOCK_OFFLINE_PACKAGES}\nimport {module}"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert outcome.returncode == 0, outcome.stderr
