"""CMS signatures (RFC 5652 §5): `build` has a card make them, `verify` judges those of anybody."""
