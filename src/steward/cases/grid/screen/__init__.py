"""The case's page in the console, read from the ledger."""
