"""What other programs and a card said to each other, as others have recorded it: read, masked, understood."""
