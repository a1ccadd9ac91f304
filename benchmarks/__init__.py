"""Speed against peers, the machine's ceiling, and what a step costs as things grow. Each prints tables and leaves results/<name>.json."""
