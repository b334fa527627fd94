"""What each credential is and can do, and the page that says so."""
