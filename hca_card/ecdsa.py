"""What cards and modules answer for ECDSA and ECDH, in the one form that `Card` returns."""

from __future__ import annotations

from hca_card import tlv
from hca_card.errors import CardDataError


def concatenated(signature: bytes, bits: int) -> bytes:
    """Return r ‖ s, each as long as the curve's order.

    PKCS#11 (mechanisms 2.40 §2.3.1) has it so; Java Cards, and modules that hand on what such a card says,
    answer with Ecdsa-Sig-Value (RFC 3279 §2.2.3), DER. Whether it is a signature at all is for `signing` to
    say.

    Args:
        signature: the answer, hostile input.
        bits: length of the curve's order.

    Raises:
        CardDataError: it is neither.
    """
    length = (bits + 7) // 8
    if len(signature) == 2 * length:
        return signature
    outer = tlv.objects(signature) if signature[:1] == b"\x30" else []
    numbers = [part.value.lstrip(b"\0") for part in outer[0].children if part.tag == 0x02] if outer else []
    if len(numbers) != 2 or max(map(len, numbers)) > length:
        raise CardDataError(f"the card answered {len(signature)} bytes that are no signature of {bits} bits")
    return b"".join(number.rjust(length, b"\0") for number in numbers)


def agreed(secret: bytes, length: int) -> bytes:
    """Return the x-coordinate that ECDH gave (SEC 1 §3.3.1): some cards answer with the whole point.

    Args:
        secret: the answer.
        length: bytes of a number of the curve.

    Raises:
        CardDataError: it is neither.
    """
    if len(secret) == 1 + 2 * length and secret[0] == 0x04:
        return secret[1 : 1 + length]
    if not 0 < len(secret) <= length:
        raise CardDataError(
            f"the card agreed on {len(secret)} bytes where {length} are a number of its curve"
        )
    return secret.rjust(length, b"\0")
