"""What the ledger tells: views of it, what decisions were worth, and replays. Nothing here is a source of truth."""
