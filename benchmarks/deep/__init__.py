"""Deep networks: four trained examples, and one with ten thousand units."""
