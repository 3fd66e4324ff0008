"""The guarded model as a LangChain chat model, and agents."""
