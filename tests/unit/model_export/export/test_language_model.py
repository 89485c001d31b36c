from pathlib import Path

import pytest

from model_export.checkpoint import ModelSpec, build_from_spec, save_checkpoint
from model_export.cli import main
from model_export.errors import LanguageModelRefused
from model_export.export import parity
from model_export.export.language_model import require_usable
from model_export.language_model.build import Limits, build
from model_export.transcripts.normalisation import make_vocabulary
from service.bundle import LanguageModel, load_bundle


@pytest.fixture
def arpa(tmp_path: Path) -> Path:
    path = tmp_path / "words.arpa"
    build(["abc cab", "cab abc", "xyz abc"] * 2, Limits(), path)
    return path


def test_a_bundle_takes_its_language_model_along(
    spec: ModelSpec,
    arpa: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(parity, "TRIALS", 2)
    save_checkpoint(tmp_path / "checkpoint", spec, build_from_spec(spec).eval())
    command = ["export", str(tmp_path / "checkpoint"), "--out", str(tmp_path / "bundle")]
    model = ["--language-model", str(arpa), "--lm-weight", "0.5", "--word-score", "-1"]
    texts = ["--lm-text", "letters (public domain)", "--lm-text", "more (MIT)"]
    runtime = ["--runtime", "torchscript"]
    assert main([*command, *runtime, *model, "--beam", "30", *texts]) == 0
    bundle = load_bundle(tmp_path / "bundle")
    assert bundle.manifest.language_model == LanguageModel(
        file="lm.arpa",
        weight=0.5,
        word_score=-1,
        beam=30,
        texts=("letters (public domain)", "more (MIT)"),
    )
    assert bundle.path_of("lm.arpa").read_bytes() == arpa.read_bytes()
    card = (tmp_path / "bundle" / "MODEL_CARD.md").read_text()
    assert (
        "Language model: n-grams of letters (public domain); more (MIT); beam search with "
        "weight 0.5, -1 for every word and 30 hypotheses." in card
    )
    capsys.readouterr()
    assert main(["inspect", str(tmp_path / "bundle")]) == 0
    assert "language    letters (public domain), more (MIT)" in capsys.readouterr().out


def test_a_language_model_needs_words_that_the_labels_can_spell(arpa: Path) -> None:
    require_usable(arpa, make_vocabulary(["zyx"]))
    with pytest.raises(LanguageModelRefused, match="of its 3 words the model's labels can spell"):
        require_usable(arpa, make_vocabulary(["ab"]))


@pytest.mark.parametrize("weight", ["0", "-1", "nan", "inf"])
def test_a_weight_is_above_zero(weight: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["export", "run", "--out", "bundle", "--lm-weight", weight])
    assert "is not above 0" in capsys.readouterr().err
