"""What the portal itself asked of the outside, so that nobody is accused of it, and what two
people sign together.
"""
