from service.streaming.speakers import Speaker, Speakers


def test_the_first_who_begins_and_the_last_who_ends_are_told_of():
    told = []
    speakers = Speakers(told.append)
    one, other = Speaker(speakers), Speaker(speakers)
    one.end()
    one.begin()
    one.begin()
    other.begin()
    one.end()
    assert told == [True]
    other.end()
    other.end()
    assert told == [True, False]
