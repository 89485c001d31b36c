from model_export.training.ranks import any_process, this_process


def test_without_torchrun_there_is_one_process() -> None:
    process = this_process()
    assert (process.num_processes, process.process_index) == (1, 0)
    assert process.is_main_process
    assert any_process(True)
    assert not any_process(False)
