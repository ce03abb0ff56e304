"""The evidence: which method is best, on tables and on deep networks, and what the papers' claims are worth here."""
