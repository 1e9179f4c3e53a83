"""A decoder in a process of its own: a stranger's file goes in, facts, samples and events come out.

`process` runs in the worker. Everything else here runs in the child, which imports nothing of ours
but this package, and nothing heavy but PyAV.
"""
