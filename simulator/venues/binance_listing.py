"""Symbols as `exchangeInfo` lists them."""

from __future__ import annotations

from typing import Any

from simulator.decimals import text_of
from simulator.instrument import TapeInstrument
from simulator.venues.binance_frames import SPOT_PLACES, BinanceText


def listed(item: TapeInstrument, text: BinanceText) -> dict[str, Any]:
    """The entry of one symbol; steps are stated in its filters."""
    is_spot = item.market == "spot"
    tick = _padded(item.tick_size, text.price_places)
    lot = _padded(item.lot_size, text.qty_places)
    common: dict[str, Any] = {
        "symbol": item.symbol,
        "status": "TRADING",
        "baseAsset": item.base,
        "quoteAsset": item.quote,
        "baseAssetPrecision": SPOT_PLACES,
        "quotePrecision": SPOT_PLACES,
        "orderTypes": ["LIMIT", "MARKET"],
        "filters": [
            {"filterType": "PRICE_FILTER", "minPrice": tick, "maxPrice": "10000000"}
            | {"tickSize": tick},
            {"filterType": "LOT_SIZE", "minQty": lot, "maxQty": "900000000", "stepSize": lot},
            {"filterType": "MARKET_LOT_SIZE", "minQty": lot, "maxQty": "900000000"}
            | {"stepSize": lot},
            {"filterType": "NOTIONAL", "minNotional": "5.00000000"}
            if is_spot
            else {"filterType": "MIN_NOTIONAL", "notional": "5"},
        ],
    }
    return common | (_spot_extras() if is_spot else _usdm_extras(item, text))


def _spot_extras() -> dict[str, Any]:
    return {
        "quoteAssetPrecision": SPOT_PLACES,
        "isSpotTradingAllowed": True,
        "isMarginTradingAllowed": False,
        "permissions": [],
        "permissionSets": [["SPOT"]],
    }


def _usdm_extras(item: TapeInstrument, text: BinanceText) -> dict[str, Any]:
    return {
        "pair": item.symbol,
        "contractType": "PERPETUAL",
        "deliveryDate": 4_133_404_800_000,
        "onboardDate": 1_569_398_400_000,
        "marginAsset": item.quote,
        "pricePrecision": text.price_places,
        "quantityPrecision": text.qty_places,
        "underlyingType": "COIN",
        "underlyingSubType": [],
        "timeInForce": ["GTC", "IOC", "FOK", "GTX"],
    }


def _padded(step: str, places: int) -> str:
    digits = len(step.partition(".")[2])
    return text_of(int(step.replace(".", "")), digits, max(places, digits))
