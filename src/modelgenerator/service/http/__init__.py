"""What both faces of the service, the API and the dashboard, need of a request."""
