"""Generated lines: the same bytes from the same seed, and the shape of the real ones."""

from __future__ import annotations

import csv
import gzip
import hashlib
import itertools
from bisect import bisect_right
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

from seed_data import generate, generator, real_shape
from seed_data.generated import Generated

REAL_FILE = Path(__file__).parents[3] / "shared" / "data" / "online-retail.csv.gz"


def lines_of(count: int, seed: int = 1) -> list[str]:
    return list(itertools.chain.from_iterable(generator.blocks(count, seed)))


def digest(lines: Iterable[str]) -> str:
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()


@pytest.mark.parametrize("count", [0, 1, 2, 79, 1000, 5000, 5001, 20_000])
def test_exactly_so_many_lines_come(count: int) -> None:
    assert len(lines_of(count)) == count


def test_the_same_seed_gives_the_same_bytes_on_every_python() -> None:
    assert digest(lines_of(20_000)) == PINNED
    assert digest(lines_of(20_000)) == PINNED


PINNED = "55ba2b3a38523835d874cfa3011cf64fafd4d608eb57012dd231e2c2200f5233"
"""Whoever changes what comes from a seed counts generator.VERSION up: a load is known by it."""


def test_another_seed_gives_other_lines() -> None:
    assert digest(lines_of(1000, seed=1)) != digest(lines_of(1000, seed=2))


@pytest.mark.parametrize("lines", [-1, generator.MOST_LINES + 1])
def test_absurd_numbers_are_refused_with_the_limit(lines: int) -> None:
    with pytest.raises(ValueError, match="expected 0 to 100,000,000"):
        Generated(lines)


def test_loads_are_told_apart_by_number_of_lines_and_seed() -> None:
    digests = set()
    for source in (Generated(1), Generated(2), Generated(1, seed=2)):
        with source.open() as file:
            digests.add(file.digest)
    assert len(digests) == 3


@dataclass(frozen=True)
class Shape:
    """What a file's lines look like, as figures that can be compared."""

    shares: dict[str, float]
    """Parts of all lines, invoices, products or customers."""
    spreads: dict[str, list[float]]
    """Values in order."""


def shape_of(lines: Iterable[str]) -> Shape:
    rows = list(csv.reader(lines))
    invoices: dict[str, list[list[str]]] = defaultdict(list)
    descriptions, countries = defaultdict(set), defaultdict(set)
    for row in rows:
        invoices[row[0]].append(row)
        descriptions[row[1]].add(row[2])
        if row[6]:
            countries[row[6]].add(row[7])
    sales = [of for number, of in invoices.items() if number.isdigit() and int(of[0][3]) > 0]
    returns = [of for number, of in invoices.items() if number.startswith("C")]
    folded = Counter(code.upper() for code in descriptions)
    sold = sorted(Counter(row[1] for row in rows).values(), reverse=True)
    lines_of_sales = [row for of in sales for row in of]
    return Shape(
        {
            "sales per invoice": len(sales) / len(invoices),
            "returns per invoice": len(returns) / len(invoices),
            "lines of guests": sum(not row[6] for row in rows) / len(rows),
            "lines of returns": sum(map(len, returns)) / len(rows),
            "adjustments": sum(int(r[3]) < 0 and r[0].isdigit() for r in rows) / len(rows),
            "free lines": sum(float(r[5]) == 0 for r in rows) / len(rows),
            "lines without description": sum(not r[2] for r in rows) / len(rows),
            "repeated products": sum(len(of) - len({r[1] for r in of}) for of in invoices.values())
            / len(rows),
            "products of several descriptions": sum(len(d) > 1 for d in descriptions.values())
            / len(descriptions),
            "case twins": sum(count > 1 for count in folded.values()) / len(descriptions),
            "lines of the 100 best sold": sum(sold[:100]) / len(rows),
            "lines of the 1,000 best sold": sum(sold[:1000]) / len(rows),
            "invoices from the United Kingdom": sum(of[0][7] == "United Kingdom" for of in invoices.values())
            / len(invoices),
        },
        {
            "lines of a sale": sorted(map(len, sales)),
            "lines of a return": sorted(map(len, returns)),
            "price": sorted(float(row[5]) for row in lines_of_sales),
            "quantity": sorted(int(row[3]) for row in lines_of_sales),
            "quantity of a return": sorted(-int(row[3]) for of in returns for row in of),
            "invoices of a customer": sorted(
                Counter(of[0][6] for of in invoices.values() if of[0][6]).values()
            ),
        },
    )


def distance(one: Sequence[float], other: Sequence[float]) -> float:
    """Kolmogorov's: how far the shares below any value are apart, at most."""
    values = sorted({*one, *other})
    return max(abs(bisect_right(one, v) / len(one) - bisect_right(other, v) / len(other)) for v in values)


@pytest.fixture(scope="module")
def generated() -> Shape:
    return shape_of(lines_of(real_shape.LINES))


def test_the_shape_is_that_of_the_real_file(generated: Shape) -> None:
    if not REAL_FILE.exists():
        pytest.skip("the real file is not here: the recorded figures alone are compared")
    with gzip.open(REAL_FILE, "rt", encoding="utf-8", newline="") as file:
        real = shape_of(file.read().splitlines()[1:])
    for name, share in real.shares.items():
        assert generated.shares[name] == pytest.approx(share, rel=0.3, abs=0.002), name
    for name, values in real.spreads.items():
        assert distance(values, generated.spreads[name]) < 0.06, name


def test_the_shape_is_that_of_the_recorded_figures(generated: Shape) -> None:
    sales = real_shape.CUSTOMER_SALES + real_shape.GUEST_SALES + real_shape.GIVEN_AWAY
    expected = {
        "sales per invoice": sales / real_shape.INVOICES,
        "returns per invoice": real_shape.RETURNS / real_shape.INVOICES,
        "adjustments": real_shape.ADJUSTMENTS / real_shape.LINES,
        "case twins": real_shape.CASE_TWINS / real_shape.PRODUCTS,
        "invoices from the United Kingdom": real_shape.COUNTRIES["United Kingdom"] / real_shape.INVOICES,
    }
    for name, share in expected.items():
        assert generated.shares[name] == pytest.approx(share, rel=0.1), name
    sizes = generated.spreads["lines of a return"]
    assert [sizes[int(share * (len(sizes) - 1))] for share in (0.5, 0.9)] == [1, 4]


def test_the_rare_things_are_there() -> None:
    rows = list(csv.reader(lines_of(real_shape.LINES)))
    quantities = {int(row[3]) for row in rows}
    assert quantities & {74_215, 80_995} and quantities & {-74_215, -80_995}
    assert any(row[0].startswith("A") and row[5] == "-11062.06" for row in rows)
    assert any(row[5] == "0.001" for row in rows)
    assert any("," in row[2] for row in rows)
    assert max(float(row[5]) for row in rows) > 5000
    moments = defaultdict(set)
    countries = defaultdict(set)
    for row in rows:
        moments[row[0]].add(row[4])
        countries[row[6]].add(row[7])
    assert sum(len(times) > 1 for times in moments.values()) > 10
    assert any(len(places) > 1 for customer, places in countries.items() if customer)


def test_invoices_come_in_the_order_of_their_numbers_and_times() -> None:
    rows = [line.split(",") for line in lines_of(20_000)]
    numbers = [int(row[0].lstrip("CA")) for row in rows]
    assert numbers == sorted(numbers)
    assert rows[0][7] == "United Kingdom" or rows[0][7] in real_shape.COUNTRIES


def test_a_file_is_written_whole_and_is_the_same_packed(
    tmp_path: Path, capsysbinary: pytest.CaptureFixture
) -> None:
    plain, packed, again = tmp_path / "a.csv", tmp_path / "b.csv.gz", tmp_path / "c.csv.gz"
    for path in (plain, packed, again):
        assert generate.main(["3000", "--seed", "7", "-o", str(path)]) == 0
    assert packed.read_bytes() == again.read_bytes()
    assert gzip.decompress(packed.read_bytes()) == plain.read_bytes()
    assert plain.read_text().splitlines() == [generator.HEADER, *lines_of(3000, seed=7)]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.csv", "b.csv.gz", "c.csv.gz"]
    assert b"c.csv.gz: 3,000 lines from seed 7" in capsysbinary.readouterr().err


def test_what_breaks_off_leaves_no_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(generate, "_write", interrupted)
    assert generate.main(["10", "-o", str(tmp_path / "a.csv")]) == generate.INTERRUPTED
    assert list(tmp_path.iterdir()) == []


def test_a_place_that_cannot_be_written_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert generate.main(["10", "-o", str(tmp_path / "no" / "a.csv")]) == generate.FAILED
    assert "a.csv: No such file or directory" in capsys.readouterr().err


@pytest.mark.parametrize("lines", ["-1", "many"])
def test_wrong_numbers_of_lines_end_with_2(lines: str) -> None:
    with pytest.raises(SystemExit) as ended:
        generate.main(["--", lines])
    assert ended.value.code == 2
