"""What a smoke test left to see."""

from __future__ import annotations


def failures(report):
    return {check.name: check.detail for check in report.failures}


def orders_in_test_warehouse(shop):
    return shop.value("SELECT count(*) FROM shop.orders WHERE warehouse_id = 2")
