"""Choice of the image to read: view, body part, age, patient identity."""
