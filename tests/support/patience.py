"""How long tests wait for what must happen."""

# Long, for machines that do much else: nothing waits for it but a test that fails.
PATIENCE_S = 600
