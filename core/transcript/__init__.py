"""From words and turns to transcripts: labels, segments, seams and parts."""
