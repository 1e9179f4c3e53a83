"""The adapter to the RunPod SDK."""
