"""The words of the domain: what a request asks for, what an answer says, and how a job is
watched.
"""
