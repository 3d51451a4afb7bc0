"""The console: pages for people over the same services as the API. It holds no rule of its own."""
