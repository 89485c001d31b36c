"""Every error the offline tools raise on purpose, in one tree; the command line renders them.

ExportError
├── BaseUnavailable      no such folder or model name, or not a speech encoder we know
├── ReplacementRefused   the layers asked for cannot be replaced; nothing was changed
├── ManifestInvalid      a manifest or a row of it cannot be used
├── NormalisationInvalid text rules that cannot be followed
├── TextRefused          a transcript cannot be normalised without guessing
├── StreamingRefused     a model that cannot take audio chunk by chunk was asked to
├── CheckpointInvalid    a checkpoint is incomplete or belongs to another base
├── TrainingRefused      this machine cannot train as asked: precision, disk space
├── TrainingStopped      a signal ended training; its checkpoint says where to go on
├── LanguageModelRefused texts or limits that no language model can be made of
├── SynthesisRefused     a corpus that cannot be spoken as asked; nothing was spoken
├── SynthesisFailed      one sentence that an engine cannot speak
├── MeasuringRefused     figures that cannot be measured or drawn here
├── CorpusUnavailable    a package of speech that cannot be fetched or unpacked here
└── ParityFailed         an exported variant leaves its tolerance
"""


class ExportError(Exception):
    """Base of all errors here; the message gives the found value and the limit."""


def one_line(error: Exception) -> str:
    """What a foreign error says in its first paragraph, to be quoted in the one line of ours."""
    return " ".join(str(error).strip().partition("\n\n")[0].split()) or type(error).__name__


class BaseUnavailable(ExportError):
    """No such folder or model name, or not a speech encoder we know."""


class ReplacementRefused(ExportError):
    """The layers asked for cannot be replaced; nothing was changed."""


class StreamingRefused(ExportError):
    """A model that cannot take audio chunk by chunk was asked to."""


class ManifestInvalid(ExportError):
    """A manifest, or a row of it, cannot be used."""


class NormalisationInvalid(ExportError):
    """Text rules that cannot be followed."""


class TextRefused(ExportError):
    """A transcript cannot be normalised without guessing."""


class CheckpointInvalid(ExportError):
    """A checkpoint is incomplete or belongs to another base."""


class TrainingRefused(ExportError):
    """This machine cannot train as asked: precision, disk space."""


class TrainingStopped(ExportError):
    """A signal ended training; its checkpoint says where to go on."""


class LanguageModelRefused(ExportError):
    """Texts or limits that no language model can be made of."""


class SynthesisRefused(ExportError):
    """A corpus that cannot be spoken as asked; nothing was spoken."""


class SynthesisFailed(ExportError):
    """One sentence that an engine cannot speak."""


class MeasuringRefused(ExportError):
    """Figures that cannot be measured or drawn here."""


class CorpusUnavailable(ExportError):
    """A package of speech that cannot be fetched or unpacked here."""


class ParityFailed(ExportError):
    """An exported variant leaves its tolerance."""
