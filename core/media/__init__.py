"""From a recording, wherever it is, to samples and utterances."""
