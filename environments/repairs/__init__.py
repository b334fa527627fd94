"""What a person had put right on Railway, GitHub or git: its actions, steps and addresses."""
