"""What Django views import; one file a service."""
