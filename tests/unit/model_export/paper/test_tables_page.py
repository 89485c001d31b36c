"""The page of error rates is what the JSON gives, and nothing else."""

import pytest
from paper_outcomes import outcome_of

from model_export.cli import main
from model_export.paper.experiments import Setting
from model_export.paper.outcomes import keep, outcome_path
from model_export.paper.tables_page import PAGE, render

SETTING = Setting()


def cells_of(page, title):
    section = page.partition(f"\n## {title}")[2].partition("\n## ")[0]
    rows = [line for line in section.splitlines() if line.startswith("| ")]
    return [[cell.strip() for cell in row.strip("|").split("|")] for row in rows[2:]]


@pytest.fixture
def folder(tmp_path):
    """Czech and Spanish at two layers, one mixer across readers, two rates; the rest is missing."""
    made = {
        SETTING.experiment("attention"): [5, 5, 5],
        SETTING.experiment("sm"): [8, 8, 8],
        SETTING.experiment("wsm"): [6, 6, 6],
        SETTING.experiment("wsm", seed=1): [8, 8, 8],
        SETTING.experiment("wsm", language="es"): [9, 9, 9],
        SETTING.experiment("sm", learning_rate=5e-4): [7, 7, 7],
        SETTING.experiment(
            "wsm", language="es", learnt_from="asterisk", tested_on="tuxpaint"
        ): [20, 20, 20],
    }  # fmt: skip
    for experiment, errors in made.items():
        keep(tmp_path, outcome_of(experiment, errors, dev_percent=10 * errors[0]))
    return tmp_path


def test_rows_have_rates_seeds_and_differences_on_the_same_seeds(folder):
    page = render(folder, SETTING)

    attention, sm, wsm = cells_of(page, "Table 1")
    assert attention[:7] == [
        "2", "pretrained attention", "5.0 [5.0, 5.0]", "50.0 [50.0, 50.0]", "1", "-",
        "**-3.0 [-3.0, -3.0]**",
    ]  # fmt: skip
    assert sm[1:3] == ["SummaryMixing", "8.0 [8.0, 8.0]"]
    assert wsm[1:5] == ["WSM", "7.0 [7.0, 7.0]", "70.0 [70.0, 70.0]", "2, ± 1.4"]
    assert wsm[5:] == ["**+1.0 [+1.0, +1.0]**", "**-2.0 [-2.0, -2.0]**", "-", "1.23", "-", "-"]
    assert [row[0] for row in cells_of(page, "Windows")] == ["8", "none"]
    assert [row[:3] for row in cells_of(page, "Table 2")][-1] == ["es", "10", "WSM"]
    assert cells_of(page, "Across readers") == [
        ["es", "WSM", "20.0 [20.0, 20.0]", "20.0 [20.0, 20.0]", "200.0 [200.0, 200.0]", "-", "-"]
    ]
    rates = {mixer: cells for mixer, *cells in cells_of(page, "Learning rates")}
    assert rates["SummaryMixing"] == ["-", "70.0", "80.0", "-", "-"]
    assert rates["random attention"] == ["-"] * 5
    assert "Encoder: test-base. 7 models: " in page


def test_what_cannot_be_shown_is_refused(folder, tmp_path, capsys):
    options = ["paper", "tables", "--render", "--page", str(tmp_path / "page")]
    assert main([*options, "--out", str(tmp_path / "empty")]) == 2
    assert "holds no outcome of this setting" in capsys.readouterr().err
    wsm = SETTING.experiment("wsm")
    keep(folder, outcome_of(wsm, [1]).model_copy(update={"base": "other"}))
    assert main([*options, "--out", str(folder)]) == 2
    assert "of several encoders: other, test-base" in capsys.readouterr().err
    outcome_path(folder, wsm).write_text("{}")
    assert main([*options, "--out", str(folder)]) == 2
    assert "holds no outcome: " in capsys.readouterr().err
    assert not (tmp_path / "page" / PAGE).exists()
