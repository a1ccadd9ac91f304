"""People's own files as records: one module a format, and a ledger of what was read, kept and dropped."""
