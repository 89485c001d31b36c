"""Text as labels: normalisation, numbers in words, vocabularies."""
