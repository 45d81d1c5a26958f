"""Networks that learn from simulated acquisitions alone, drawn while they train."""
