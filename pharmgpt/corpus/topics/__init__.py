"""What documents are about: one module a field, each giving topics (cases and frames)."""
