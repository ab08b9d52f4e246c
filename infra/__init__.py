"""What the pipeline is run with, and what makes and checks it."""
