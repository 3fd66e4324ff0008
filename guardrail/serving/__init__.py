"""A guarded model over HTTP, by the chat API of OpenAI. Needs the extra `serve`."""
