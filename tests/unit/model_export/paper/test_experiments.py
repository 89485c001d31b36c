from model_export.paper.experiments import (
    FIRST_LANGUAGE,
    MIXERS,
    TABLES,
    Setting,
    experiments_of,
    plan,
)

SETTING = Setting()


def test_every_experiment_is_done_once_and_has_a_name_of_its_own():
    experiments = plan(TABLES, SETTING)
    assert len({each.name for each in experiments}) == len(set(experiments)) == len(experiments)
    assert sum(len(experiments_of(table, SETTING)) for table in TABLES) > len(experiments)


def test_rows_of_the_first_table_differ_by_mixer_depth_and_seed_alone():
    experiments = experiments_of("table1", SETTING)
    same = {"mixer": "sm", "depth": 2, "seed": 0, "window_frames": None}
    assert len({each.model_copy(update=same) for each in experiments}) == 1
    assert {(each.mixer, each.depth, each.seed) for each in experiments} == {
        (mixer, depth, seed) for mixer in MIXERS for depth in (1, 2, 4) for seed in (0, 1, 2)
    }


def test_the_first_table_comes_whole_before_other_tables_are_repeated():
    experiments = plan(TABLES, SETTING)
    last = max(experiments.index(each) for each in experiments_of("table1", SETTING))
    repeated = [each for each in experiments_of("table2", SETTING) if each.seed > 0]
    others = [each for each in repeated if each.language != FIRST_LANGUAGE]
    assert last < min(map(experiments.index, others))
