"""From a checkpoint to a bundle that agrees with it."""
