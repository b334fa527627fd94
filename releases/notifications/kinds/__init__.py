"""The kinds of notification, one file each. Start in `registry`."""
