"""The flows behind OpenAI's transcription API, over HTTP."""
