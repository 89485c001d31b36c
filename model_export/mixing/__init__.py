"""The mixing blocks, putting them in place of attention, and what then learns."""
