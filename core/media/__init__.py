"""From wherever a recording is to samples and utterances."""
