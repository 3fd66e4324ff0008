"""The server's own pages: what runs, a playground, the API described; nothing from elsewhere."""
