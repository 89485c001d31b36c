"""Runtimes for acoustic models; nothing heavy is imported before a model is loaded."""
