"""The commands of the live pages."""
