"""The roles as RunPod workers: thin entry points, and the one adapter to the SDK."""
