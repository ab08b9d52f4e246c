from benchmarks.pages import PAGES, TABLES
from benchmarks.report import BLOCK, filled


def test_the_tables_of_the_pages_are_those_of_the_records() -> None:
    for page in PAGES:
        text = page.read_text(encoding="utf-8")
        assert filled(text, TABLES) == text, f"{page.name}: run python -m benchmarks.pages"


def test_each_table_stands_in_one_page() -> None:
    found = [name for page in PAGES for name in BLOCK.findall(page.read_text(encoding="utf-8"))]
    assert sorted(found) == sorted(TABLES)
