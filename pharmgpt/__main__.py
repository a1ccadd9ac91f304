"""`python -m pharmgpt`, and so `torchrun -m pharmgpt`."""
from pharmgpt.cli import main

if __name__ == "__main__":
    main()
