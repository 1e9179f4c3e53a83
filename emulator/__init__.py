"""RunPod on one machine, for development and tests: the queue, the REST API, the workers' protocol,
and real SDK workers behind it.
"""
