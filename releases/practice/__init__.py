"""The sandbox as a place to learn: a guided tour, and bad days to practise. Absent elsewhere."""
