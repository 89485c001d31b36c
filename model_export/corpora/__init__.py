"""Manifests of real speech that Debian distributes, for measuring and for trying things out.

Each module is a program of its own, reads packages that were fetched and unpacked without root,
and says in its docstring how. Not for weights that are to be shipped: see the licences.
"""
