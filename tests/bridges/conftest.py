import os

# Read once, when scipy is first imported; without it scikit-learn skips its check of array inputs.
os.environ["SCIPY_ARRAY_API"] = "1"
