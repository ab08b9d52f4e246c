"""The pipeline: sensor readings from Kafka to sparse codes, dictionaries and metrics."""
