"""PINs that outlive one operation: of a page's session, or of the system's keyring; and what ends them."""
