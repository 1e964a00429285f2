"""Models: one string names one; protocols say what it can do."""
