"""Making a training corpus of speech from text, with free voices."""
