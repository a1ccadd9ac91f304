"""PharmGPT: train, align, examine and ask a drug-safety language model of your own."""
