"""Manifests of real speech, and text, that package registries distribute.

Each module is a program of its own, reads packages that were fetched and unpacked without root,
and says in its docstring how. The speech is for measuring and for trying things out, not for
weights that are to be shipped: see the licences. The text may go into language models.
"""
