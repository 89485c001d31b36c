"""Each family from what transformers saved to text over HTTP."""

import asyncio
import json

import httpx
import numpy as np
import pytest
import torch
from audio_files import wav
from patience import PATIENCE_S
from recordings import recordings

from model_export.checkpoint import load_checkpoint
from model_export.cli import main
from model_export.export import parity
from model_export.front_ends import convolutions
from service.app import create_app
from service.audio import SAMPLE_RATE_HZ, decode_audio
from service.bundle import load_bundle
from service.config import Settings
from service.ctc import greedy_decode
from service.lifecycle import State

torch.set_num_threads(1)  # the tensors are tiny; threads would only wait for each other

# Under the head of its pretraining, where transformers has one, and else a CTC head. XLS-R goes the
# same way in `test_whole_path`, and w2v-BERT in the tests of parity.
HEADS = {
    "wav2vec2": "ForPreTraining",
    "hubert stable": "ForCTC",
    "wavlm": "ForCTC",
    "data2vec": "ForCTC",
    "conformer relative": "ForPreTraining",
    "whisper": "ForConditionalGeneration",
}
RECORDINGS = recordings()[1:5]
TRAINING = ["--epochs", "1", "--batch-seconds", "12", "--replace", "last:1"]
RUNTIME = ["--runtime", "onnxruntime"]  # the tests of parity trace every base for the other
# Near the shortest, at the edge of a frame, and longer than the export's example.
EDGES_SAMPLES = (400, 719, 720, 40_123)
PIECE_SAMPLES = 40_000  # so that these, unlike the example, are several pieces
TRIALS = 4  # of parity, beside the recordings and edges


@pytest.fixture(scope="module")
def clips(tmp_path_factory, noise_and_tones):
    """Files of the recordings, and of noise that is hard to get right."""
    folder = tmp_path_factory.mktemp("speech")
    waveforms = [recording.waveform() for recording in RECORDINGS]
    waveforms += [noise_and_tones(samples) for samples in EDGES_SAMPLES]
    paths = [folder / f"{number}.wav" for number in range(len(waveforms))]
    for path, waveform in zip(paths, waveforms, strict=True):
        path.write_bytes(wav(waveform))
    return paths


@pytest.fixture(scope="module")
def manifest(clips):
    spoken = zip(clips, RECORDINGS, strict=False)
    rows = [{"audio": path.name, "text": recording.text} for path, recording in spoken]
    path = clips[0].with_name("manifest.jsonl")
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


@pytest.fixture(scope="module", params=HEADS)
def exported(request, make_base, clips, manifest, tmp_path_factory):
    """A checkpoint's model, and the bundle made of it, whose graph gives its logits."""
    folder = tmp_path_factory.mktemp("family")
    base = str(make_base(request.param, HEADS[request.param]))
    run, bundle = str(folder / "run"), str(folder / "bundle")
    data = ["--train", str(manifest), "--dev", str(manifest)]
    checked = [part for clip in clips for part in ("--clip", str(clip))]
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(convolutions, "PIECE_SAMPLES", PIECE_SAMPLES)
        patched.setattr(parity, "TRIALS", TRIALS)
        assert main(["finetune", "--base", base, *data, "--out", run, *TRAINING]) == 0
        assert main(["export", run, "--out", bundle, *RUNTIME, *checked]) == 0
        _, model = load_checkpoint(folder / "run")
        yield model, folder / "bundle"


async def test_the_service_says_what_the_checkpoint_says(exported):
    model, folder = exported
    files = [wav(recording.waveform()) for recording in RECORDINGS]
    vocabulary = load_bundle(folder).manifest.vocabulary
    expected = [eager_text(model, vocabulary, decode_audio(file)) for file in files]
    app = create_app(Settings(bundle=folder, device="cpu"))
    async with app.router.lifespan_context(app), asyncio.timeout(PATIENCE_S):
        while app.state.service.state is State.LOADING:  # noqa: ASYNC110 (it loads in a thread)
            await asyncio.sleep(0.001)
        transport = httpx.ASGITransport(app)
        async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as client:
            posts = [client.post("/transcribe", files={"file": file}) for file in files]
            answers = await asyncio.gather(*posts)
    assert [answer.json()["text"] for answer in answers] == expected
    assert len(set(expected)) > 1


def eager_text(model, vocabulary, waveform):
    with torch.inference_mode():
        logits, _ = model(torch.from_numpy(waveform)[None], torch.tensor([len(waveform)]))
    frame_s = model.front_end.samples_per_frame / SAMPLE_RATE_HZ
    duration_s = len(waveform) / SAMPLE_RATE_HZ
    decoded = greedy_decode(
        np.asarray(logits[0]), vocabulary, frame_s=frame_s, duration_s=duration_s
    )
    return decoded.text
