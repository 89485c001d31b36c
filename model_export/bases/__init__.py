"""Pretrained checkpoints: finding them, fetching them, reading their files."""
