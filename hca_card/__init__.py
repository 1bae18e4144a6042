"""What a card is: one file for each card application, the certificates on it, and simulated cards."""
