"""Whisper's decoder as a second pass: its model, its smaller vocabulary, and how it learns."""
