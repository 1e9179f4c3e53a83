"""Words and turns put together: labels, segments, seams and parts."""
