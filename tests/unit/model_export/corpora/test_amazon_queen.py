import struct

import pytest

from model_export.corpora import amazon_queen

KEY = 7


def string(text, at, align):
    """A text behind its length, filled up to where the next begins."""
    made = bytes([len(text)]) + text.encode("latin-1")
    end = at + len(made)
    return made + bytes(-end % align if text else 0)


def bank(data):
    return bytes(amazon_queen.BANK_BYTES) + data


def dialogue(joes, persons):
    """Lines of Joe and of another, each with its number, behind one level of choices."""
    start = amazon_queen.LEVELS_AT + amazon_queen.LEVEL_BYTES
    halves = [b"", b""]
    for half, lines in enumerate((joes, persons)):
        for number, text in lines:
            # Each length byte lies at a multiple of four.
            halves[half] += struct.pack(">hh", 0, number) + string(text, 0, 4)
    header = struct.pack(">hhhhh12xh", 1, KEY, KEY, len(joes), len(persons), start + len(halves[0]))
    return bank(header.ljust(start, b"\0") + halves[0] + halves[1])


def cut_scene(lines, at=64):
    body = b""
    for text in lines:
        body += string(text, at + len(body), 2)
    return bank(struct.pack(">6xhhh", 0, at, at + len(body)).ljust(at, b"\0") + body)


def container(files):
    head = amazon_queen.MAGIC.ljust(amazon_queen.ENTRIES_AT, b"\0")
    head += len(files).to_bytes(2, "big")
    at = len(head) + len(files) * amazon_queen.ENTRY.size
    table = body = b""
    for name, data in files.items():
        table += amazon_queen.ENTRY.pack(name.encode(), 1, at + len(body), len(data))
        body += data
    return head + table + body


@pytest.fixture
def lines(tmp_path):
    def read(files):
        path = tmp_path / amazon_queen.CONTAINER
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(container(files))
        found = amazon_queen.spoken_lines(tmp_path)
        return [(line.name, line.text, line.speaker, line.mp3) for line in found]

    return read


def test_a_dialogue_names_its_recordings_by_key_line_speaker_and_part(lines):
    said = dialogue([(0, "Hello."), (35, "Who...*01What are you?*02")], [(9, "Go away!*03")])
    sounds = {"070000J1.SB": b"1", "070023J1.SB": b"2", "070023J2.SB": b"3", "070009P1.SB": b"4"}
    assert lines({"BOB2.DOG": said, **sounds}) == [
        ("070000J1", "Hello.", "Joe", b"1"),
        ("070023J1", "Who...", "Joe", b"2"),
        ("070023J2", "What are you?", "Joe", b"3"),
        ("070009P1", "Go away!", "BOB", b"4"),
    ]


def test_a_cut_scene_counts_lines_and_parts_without_words_too(lines):
    scene = cut_scene(["", "*FR", "*FRTell him.*00*FLOkay.", "Even", "odd", "Last."])
    sounds = {"C18A_022.SB": b"1", "C18A_024.SB": b"2", "C18A_051.SB": b"3"}
    assert lines({"C18A.CUT": scene, **sounds}) == [
        ("C18A_022", "Tell him.", "scene C18A", b"1"),
        ("C18A_024", "Okay.", "scene C18A", b"2"),
        ("C18A_051", "Last.", "scene C18A", b"3"),
    ]


def test_what_nobody_recorded_is_left_out(lines):
    assert lines({"BOB1.DOG": dialogue([(0, "Hello.")], []), "QUEEN.JAS": b"text"}) == []


def test_another_file_is_refused(tmp_path):
    path = tmp_path / amazon_queen.CONTAINER
    path.parent.mkdir(parents=True)
    path.write_bytes(b"QTBLPEM10 the game on floppy disks")
    with pytest.raises(ValueError, match="begins with b'QTBLPEM10'"):
        list(amazon_queen.spoken_lines(tmp_path))
