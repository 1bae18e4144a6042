"""What a card is: one file for each card application, the certificates on it, and simulated cards."""

from hca_card.asn1_classes import make_ready_for_threads

make_ready_for_threads()  # whoever reads ASN.1 has something of this package first
