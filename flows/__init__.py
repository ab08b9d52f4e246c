"""The pipeline: sensor readings from Kafka to sparse codes, dictionaries and metrics."""

import os

# Before numpy is loaded, by whatever way in: on matrices this small a second thread doubles the
# CPU time of a reading (76 to 155 us at 64 channels) and makes it no faster. What is set stays.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
