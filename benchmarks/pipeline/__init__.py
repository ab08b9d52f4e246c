"""What the pipeline costs on a real Kafka, beside what one would otherwise use."""
