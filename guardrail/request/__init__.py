"""What is asked and how: conversation, pictures, settings, the form of an answer. No torch."""
