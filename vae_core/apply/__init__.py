"""What a trained model does for its user, one module per application."""
