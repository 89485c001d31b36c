"""The HTTP edge: what turns requests into calls, and results and errors into answers."""
