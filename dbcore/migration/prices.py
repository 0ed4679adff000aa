"""What writing costs on demand, in dollars a million write request units, by region.

On-demand mode, standard table class. us-east-1 is as published after the price cut of November
2024; the other regions are half of their price before it, as that cut was announced. Prices change
and these have not been read from an invoice: DYNAMODB_WRITE_PRICE overrides the table.
"""

from __future__ import annotations

from django.conf import settings

WRITE_PRICE = {
    "us-east-1": 0.625,
    "us-east-2": 0.625,
    "us-west-2": 0.625,
    "us-west-1": 0.6975,
    "ca-central-1": 0.6875,
    "eu-west-1": 0.705,
    "eu-west-2": 0.7423,
    "eu-west-3": 0.7423,
    "eu-central-1": 0.7625,
    "eu-north-1": 0.67,
    "ap-northeast-1": 0.715,
    "ap-southeast-1": 0.71,
    "ap-southeast-2": 0.71,
    "ap-south-1": 0.71,
    "sa-east-1": 0.9375,
}


def write_price(region: str) -> float | None:
    """Dollars a million write request units in a region; None where it is not known here."""
    return settings.DYNAMODB_WRITE_PRICE or WRITE_PRICE.get(region)
