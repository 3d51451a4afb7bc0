"""Whom to tell, when and how: rotas, quiet hours, and the channels of notifications."""
