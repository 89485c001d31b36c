"""Text while people speak.

    bytes -> samples (sources, live_container) -> inbox -> session: silence or speech (loudness,
    endpointing) -> recogniser: incremental (chunk_loop, greedy_path) or windowed -> words
    (utterance_reader) -> events

`streams` opens and ends them all; routes put the events into the words of a protocol.
"""
