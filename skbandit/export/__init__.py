"""A fitted network in the form of other libraries."""
