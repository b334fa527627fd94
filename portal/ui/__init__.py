"""What every page and action shares: permissions and events, the admin site, recent sign-ins."""
