import av
import numpy as np
import pytest

from service.streaming.companding import ALAW, MULAW


@pytest.mark.parametrize(("codec", "table"), [("pcm_mulaw", MULAW), ("pcm_alaw", ALAW)])
def test_the_tables_are_libavs(codec, table):
    decoder = av.CodecContext.create(codec, "r")
    decoder.sample_rate, decoder.layout = 8000, "mono"
    (frame,) = decoder.decode(av.Packet(bytes(range(256))))
    np.testing.assert_array_equal(frame.to_ndarray()[0] / np.float32(2**15), table)
