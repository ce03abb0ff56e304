"""From columns to what a network reads."""
