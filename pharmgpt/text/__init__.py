"""What crosses between stages: records, tokenizer, chat format. Imports no torch."""
