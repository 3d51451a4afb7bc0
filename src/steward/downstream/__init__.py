"""Calls to systems outside: breakers, bulkheads, budgets of retries, and the transport of webhooks."""
