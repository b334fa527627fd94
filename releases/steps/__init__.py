"""Jobs that go step by step."""
