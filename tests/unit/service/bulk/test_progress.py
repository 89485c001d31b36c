import io
from pathlib import Path

from service.bulk.outcomes import Tally
from service.bulk.progress import ProgressLine, line


def test_the_line_goes_by_bytes_and_says_what_is_left():
    tally = Tally(files=4, size_bytes=1000, skipped=1, done=1, seen_bytes=250, audio_s=60)
    tally.failures[Path("a")] = "broken"
    assert (
        line(tally, 20) == "[######..................]  25%  3/4 files  3x  0:01:00 left  1 failed"
    )


def test_nothing_to_do_is_done():
    assert line(Tally(files=0, size_bytes=0), 0) == "[########################] 100%  0/0 files"


def test_it_is_drawn_over_itself_and_not_too_often():
    terminal, times_s = io.StringIO(), iter([0.0, 1.0, 1.01, 2.0])
    progress = ProgressLine(terminal, lambda: next(times_s))
    for seen_bytes in (0, 500, 1000):
        progress.draw(Tally(files=1, size_bytes=1000, seen_bytes=seen_bytes))
    progress.clear()
    first, second, last = terminal.getvalue().split("\r\x1b[2K")[1:]
    assert ("  0%" in first, "100%" in second, last) == (True, True, "")


def test_where_nobody_looks_nothing_is_drawn():
    progress = ProgressLine(None)
    progress.draw(Tally(files=1, size_bytes=1))
    progress.clear()


def test_the_summary_names_every_failure():
    tally = Tally(files=3, size_bytes=9, skipped=1, done=1, audio_s=7384)
    tally.failures[Path("b.wav")] = "no audio [unsupported_audio]"
    assert tally.summary(100).splitlines() == [
        "1 of 3 files transcribed, 2:03:04 of audio in 0:01:40 (74x); 1 were there already; "
        "1 failed:",
        "  b.wav: no audio [unsupported_audio]",
    ]
