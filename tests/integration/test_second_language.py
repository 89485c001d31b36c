"""The Spanish bundle that comes along, served by its name."""

from pathlib import Path

from recordings import ASSETS
from server_process import serving

SPANISH = ASSETS / "spanish" / "kokoro-000051.opus"


def test_spanish_is_heard_and_written_as_spanish():
    with serving(Path("spanish")) as client:
        answer = client.post("/transcribe", files={"file": SPANISH.read_bytes()})
    body = answer.json()
    assert (body["model"], body["language"]) == ("spanish", "es")
    assert body["text"] == "nació el dos de marzo de mil novecientos ochenta y cinco"
