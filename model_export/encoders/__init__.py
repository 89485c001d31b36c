"""Encoder families as one model that can be cut between any two layers."""
