"""How the embedded model was made. Not imported at run time."""
