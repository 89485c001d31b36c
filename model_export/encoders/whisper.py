"""Whisper's encoder below its layers, for audio of any length up to its positions.

transformers' encoder takes exactly 3000 mel frames. This one takes the valid frames only:
padding is zeroed before each convolution and positions are sliced.
"""

import torch.nn.functional as F
from torch import Tensor, nn
from transformers import WhisperConfig
from transformers.models.whisper.modeling_whisper import WhisperEncoder

from model_export.encoders.ctc_model import FrontEndFacts
from model_export.front_ends.log_mel import LogMel, valid_frames
from model_export.front_ends.spectrum import HOP_SAMPLES, WINDOW_SAMPLES
from service.arrays import SAMPLE_RATE_HZ

SAMPLES_PER_FRAME = 2 * HOP_SAMPLES
RECEPTIVE_FIELD_SAMPLES = WINDOW_SAMPLES
LOOKS_FAR_AHEAD = "log-mel is floored under the utterance's maximum, and positions end after 30 s"
CONVENTION = "waveform in [-1, 1]; log-mel of the valid samples only, no 30 s padding"


class WhisperStem(nn.Module):
    """Log-mel, two convolutions and positions.

    Args:
        encoder: transformers' Whisper encoder; its convolutions and positions are shared.
    """

    positions: Tensor

    def __init__(self, encoder: WhisperEncoder) -> None:
        super().__init__()
        config: WhisperConfig = encoder.config
        self.log_mel = LogMel(config.num_mel_bins)
        self.conv1 = encoder.conv1
        self.conv2 = encoder.conv2
        self.register_buffer("positions", encoder.embed_positions.weight.detach().clone())

    @property
    def front_end(self) -> FrontEndFacts:
        """Facts for the bundle; a pass reaches as far as the positions."""
        positions = int(self.positions.shape[0])
        return FrontEndFacts(
            samples_per_frame=SAMPLES_PER_FRAME,
            receptive_field_samples=RECEPTIVE_FIELD_SAMPLES,
            longest_pass_s=positions * SAMPLES_PER_FRAME / SAMPLE_RATE_HZ,
            convention=CONVENTION,
            looks_far_ahead=LOOKS_FAR_AHEAD,
        )

    def forward(self, waveforms: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        """Embed waveforms.

        Args:
            waveforms: `[batch, samples]`, 16 kHz in [-1, 1].
            lengths: `[batch]`, valid samples.

        Returns:
            hidden `[batch, frames, width]` and frame lengths `[batch]`, 50 per second.
        """
        features, mel_lengths = self.log_mel(waveforms, lengths)
        hidden = F.gelu(self.conv1(features))
        hidden = hidden.masked_fill(~valid_frames(mel_lengths, hidden.shape[2]).unsqueeze(1), 0.0)
        hidden = F.gelu(self.conv2(hidden)).transpose(1, 2)
        return hidden + self.positions[: hidden.shape[1]], (mel_lengths + 1) // 2
