"""The tests. ``python -m tests.lanes`` runs them on every database; CONTRIBUTING.md tells how they are laid out."""
