"""What data is, told before anyone trains."""
