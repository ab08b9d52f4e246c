"""Measurements, a script a question; results are recorded beside them."""
