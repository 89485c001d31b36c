"""The model card: a bundle's manifest in words."""

from collections import Counter
from collections.abc import Sequence

from service.attention_form import AttentionDecoder
from service.bundle import LanguageModel, LayerMixing, Manifest, Measurement, TextNormalisation
from service.streaming_form import Streaming

TEMPLATE = """# {name}

Speech recognition for: {languages}. {summary}

## How it was made

- Base: {base} ({base_licence}).
- Mixing, lowest layer first: {mixing}.
- Trained on: {data}.
- Input: {input_convention}; 16 kHz mono. One frame is {frame_ms:g} ms.
- Longest single pass: {longest}.
- Live streams: {streaming}.
- Text: {tokens} labels; {text}.
- Language model: {language_model}.
- Attention decoder: {attention_decoder}.
- Licence of the weights: {weights_licence}.
- Written by {created_with}.

## Error rates

{measurements}
{notes}
## What to know before use

It writes what its labels can spell. Speech unlike its training data is recognised worse. What the
table does not list was not measured.
"""


def model_card(manifest: Manifest, summary: str, notes: str = "") -> str:
    """Markdown of a bundle's model card.

    Args:
        manifest: of the bundle.
        summary: a sentence on top.
        notes: Markdown behind the error rates, such as what else was tried.
    """
    rules = manifest.text_normalisation
    provenance = manifest.provenance
    longest_s = manifest.longest_single_pass_s
    return TEMPLATE.format(
        name=manifest.name,
        languages=", ".join(manifest.languages) or "not stated",
        summary=summary,
        base=provenance.base,
        base_licence=provenance.base_licence,
        mixing=describe_mixing(manifest.layers),
        data=", ".join(provenance.data),
        input_convention=manifest.input_convention,
        frame_ms=1000 * manifest.samples_per_frame / manifest.sample_rate_hz,
        longest="no limit but memory" if longest_s is None else f"{longest_s:g} s",
        streaming=_streaming(manifest),
        tokens=len(manifest.vocabulary.tokens),
        text=_describe_text(rules),
        language_model=_describe_language_model(manifest.language_model),
        attention_decoder=_describe_attention_decoder(manifest.attention_decoder),
        weights_licence=provenance.weights_licence,
        created_with=provenance.created_with,
        measurements=_table(manifest.measurements),
        notes=f"\n{notes.strip()}\n" if notes else "",
    )


def describe_mixing(layers: Sequence[LayerMixing]) -> str:
    """Mixers with their windows and how many layers have them, such as `2 attention, 2 wsm`."""
    counts = Counter(map(_describe_layer, layers))
    return ", ".join(f"{count} {mixing}" for mixing, count in counts.items())


def describe_streaming(form: Streaming, manifest: Manifest) -> str:
    """Chunk, lookahead, algorithmic latency and what a stream holds, in words."""
    per_ms = manifest.sample_rate_hz / 1000
    chunk_ms = form.chunk_frames * manifest.samples_per_frame / per_ms
    lookahead_ms = form.lookahead_samples / per_ms
    return (
        f"chunks of {form.chunk_frames} frames ({chunk_ms:g} ms) and {lookahead_ms:g} ms of "
        f"lookahead, so a sound waits {lookahead_ms:g} to {chunk_ms + lookahead_ms:g} ms for its "
        f"chunk; {form.state_bytes / 1024:.0f} KiB of state each"
    )


def _streaming(manifest: Manifest) -> str:
    if manifest.streaming is None:
        return "no graph for them"
    return describe_streaming(manifest.streaming, manifest)


def _describe_layer(layer: LayerMixing) -> str:
    if layer.window_frames is None:
        return layer.mixer
    weights = ", learned weights" if layer.window_weights == "learned" else ""
    return f"{layer.mixer} (w = {layer.window_frames}{weights})"


def _describe_text(rules: TextNormalisation) -> str:
    case = "lower case" if rules.lowercase else "case kept"
    kept = " ".join(dict.fromkeys(rules.keep + rules.keep_inside))
    digits = {
        "refuse": "no digits",
        "keep": "digits kept",
        "spell": f"numbers as words of {rules.language}",
    }[rules.digits]
    return f"{case}; letters, and of the rest {kept or 'nothing'}; {digits}"


def _describe_language_model(language_model: LanguageModel | None) -> str:
    if language_model is None:
        return "none"
    return (
        f"n-grams of {'; '.join(language_model.texts) or 'texts not stated'}; beam search with "
        f"weight {language_model.weight:g}, {language_model.word_score:g} for every word and "
        f"{language_model.beam} hypotheses"
    )


def _describe_attention_decoder(form: AttentionDecoder | None) -> str:
    if form is None:
        return "none"
    return (
        f"{form.layers} layers of width {form.width}; it writes, and is believed where its text is "
        f"no more than {-form.least_agreement:g} (natural logarithm, for each character) less "
        "likely by CTC than CTC's own"
    )


def _table(measurements: Sequence[Measurement]) -> str:
    if not measurements:
        return "None measured yet: `wsm-export evaluate` does it."
    head = (
        "| set | clips | minutes | WER % | CER % | decoding | note |\n|---|---|---|---|---|---|---|"
    )
    rows = (
        f"| {row.test_set} | {row.clips} | {row.audio_s / 60:.1f} | {_wer(row)} "
        f"| {row.cer_percent:.1f} | {row.decoding} | {row.note} |"
        for row in measurements
    )
    return "\n".join([head, *rows])


def _wer(row: Measurement) -> str:
    if row.wer_interval_percent is None:
        return f"{row.wer_percent:.1f}"
    low, high = row.wer_interval_percent
    return f"{row.wer_percent:.1f} [{low:.1f}, {high:.1f}]"
