"""Online half: serves a bundle over HTTP. Needs no torch on CPU."""
