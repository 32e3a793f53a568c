"""What the machine allows, whoever reads."""
