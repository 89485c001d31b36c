"""Selective fine-tuning: examples, caches, objectives, the trainer and its runs."""
