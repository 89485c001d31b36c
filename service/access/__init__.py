"""Who may ask for what, and how much of it: keys, their roles and their limits."""
