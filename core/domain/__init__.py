"""The domain: requests, answers and a job's progress, as values."""
