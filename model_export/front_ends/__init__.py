"""From waveforms to features, inside the exported graph and by valid lengths."""
