"""Ways to get from readings to codes: each a small script that ends when the backlog is coded.

A script is given an `Order` as its only argument and prints a `Spent` as its last line.
"""
