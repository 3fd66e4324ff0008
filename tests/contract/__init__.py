"""What every model family must show, whatever it is: one suite over all tiny checkpoints."""
