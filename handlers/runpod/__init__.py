"""All that is the RunPod SDK's."""
