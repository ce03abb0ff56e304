"""The ground: what every other part of the package stands on. It imports nothing of the package."""
