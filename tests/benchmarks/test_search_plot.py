from benchmarks.search_plot import table

TEXT = """# How searches grow

- one line | with a bar

| search | entries | 1,000 | 64,000 | growth 1 | growth 2 |
|---|---:|---:|---:|---:|---:|
| _id | 1 | 2.1 | 2.3 | 1.10 | 1.05 |
| total of a code * | 0 | 44.8 | 993.9 | 22.18 | 20.00 |
"""


def test_the_table_is_read_back() -> None:
    assert table(TEXT) == (["1,000", "64,000"], [("_id", [2.1, 2.3]), ("total of a code *", [44.8, 993.9])])
