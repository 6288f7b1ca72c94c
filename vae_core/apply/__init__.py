"""What a trained model is good for: each application in a module of its own."""
