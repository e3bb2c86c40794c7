"""Run by loading.py with pandas on its path: appends rows to order_lines, prints the seconds of `to_sql`."""

import sys
import time

import pandas
import sqlalchemy

COLUMNS = ["order_id", "line_number", "product_id", "quantity", "unit_price", "description", "invoiced_at"]


def main(file: str, url: str, method: str) -> None:
    """Time the call alone: what pandas and its parts need to be imported and the file to be read is free."""
    frame = pandas.read_csv(
        file, sep="\t", header=None, names=COLUMNS, na_values=[r"\N"], keep_default_na=False
    )
    with sqlalchemy.create_engine(url).begin() as connection:
        _leave_totals_alone(connection)
        started = time.perf_counter()
        frame.to_sql(
            "order_lines",
            connection,
            schema="shop",
            if_exists="append",
            index=False,
            method="multi" if method == "multi" else None,
            chunksize=1000,
        )
        print(time.perf_counter() - started)


def _leave_totals_alone(connection: sqlalchemy.Connection) -> None:
    """Let to_sql off what triggers do, as the floor is let off."""
    if connection.dialect.name == "mysql":
        connection.exec_driver_sql("SET @shop_totals_by_load = 1")
    else:
        connection.exec_driver_sql("ALTER TABLE shop.order_lines DISABLE TRIGGER USER")


if __name__ == "__main__":
    main(*sys.argv[1:])
