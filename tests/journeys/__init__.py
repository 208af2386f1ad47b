"""What a person does, in a real browser, on the whole portal as it is started for development."""
