"""Offline half: swap attention for WSM, fine-tune, evaluate, export a bundle."""
