"""Who may: identities, roles, keys, sessions, bearer tokens, and the guard that every face asks."""
