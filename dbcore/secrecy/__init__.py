"""What is secret by its name or its look, taken out of texts and values before anybody sees them.

It knows of no model, setting or person: `dbcore.monitoring.scrub` adds those for what leaves the
machine. Nothing here may raise, take longer than the text is long, or let a value through because
it cannot be made out where that ends.
"""

from dbcore.secrecy.looks import MASK
from dbcore.secrecy.names import is_secret_name, plain_name
from dbcore.secrecy.texts import Bare, mask_text
from dbcore.secrecy.values import mask_texts, mask_values

__all__ = [
    "MASK",
    "Bare",
    "is_secret_name",
    "mask_text",
    "mask_texts",
    "mask_values",
    "plain_name",
]
