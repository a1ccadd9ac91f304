"""From facts to records: documents, conversations, preferences, questions, and importers for people's own files."""
