"""The rules, tested without a database: tables, transcripts, promises and the quirks they leave behind."""
