"""Decoding in child processes: libsndfile and libav are C, and their input comes from strangers.

    service -- forks through --> nursery (imports everything once) --> children

A child decodes one file after the other, in bounded memory and bounded time, and ends with the
first that is refused: what crashes or hangs there costs that file. A live container has a child of
its own. What children say is not trusted: see `wire`.
"""
