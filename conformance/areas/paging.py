"""Pages of a search. https://hl7.org/fhir/R4/http.html#paging"""

from conformance import expect
from conformance.checks import check
from conformance.target import Target

AREA = "paging"
NEEDS = ("{type}/search-type", "{type}/create", "{type}?_tag")
MANY = 7


def walk(target: Target, *query: tuple[str, str], limit: int) -> list[list[str]]:
    """The ids on every page, by the next links."""
    pages: list[list[str]] = []
    body = target.search(target.type, ("_tag", target.tag), *query)
    while True:
        pages.append([each["id"] for each in expect.resources(body)])
        url = expect.link(body, "next")
        if not url:
            return pages
        expect.require(len(pages) <= limit, f"more than {limit} pages")
        body = expect.bundle(target.get(url), "searchset")


@check(AREA, "Every resource once, by next links; no page exceeds _count", "http.html#paging", *NEEDS)
def once(target: Target) -> None:
    made = [target.create()["id"] for _ in range(MANY)]
    for count in (1, 3, MANY, MANY + 1):
        pages = walk(target, ("_count", str(count)), limit=MANY + 1)
        expect.same(f"_count={count}", [id for page in pages for id in page], made)
        longest = max(len(page) for page in pages)
        expect.require(longest <= count, f"_count={count} gives a page of {longest}")


@check(AREA, "The last page has no next link, and is not empty", "http.html#paging", *NEEDS, should=True)
def last(target: Target) -> None:
    for _ in range(4):
        target.create()
    for count, expected in ((2, 2), (4, 1)):
        pages = walk(target, ("_count", str(count)), limit=5)
        expect.equal(f"pages of {count}", len(pages), expected)


@check(AREA, "Sorted over all pages", "search.html#sort", *NEEDS, "{type}?_lastUpdated")
def sorted_pages(target: Target) -> None:
    made = [target.create()["id"] for _ in range(5)]
    pages = walk(target, ("_count", "2"), ("_sort", "-_lastUpdated"), limit=5)
    expect.equal("newest first", [id for page in pages for id in page], made[::-1])


@check(AREA, "What is written meanwhile makes no page repeat or lose a resource", "http.html#paging", *NEEDS)
def meanwhile(target: Target) -> None:
    made = [target.create()["id"] for _ in range(4)]
    body = target.search(target.type, ("_tag", target.tag), ("_count", "2"))
    found = [each["id"] for each in expect.resources(body)]
    target.create()
    url = expect.link(body, "next")
    while url and len(found) < 10:
        body = expect.bundle(target.get(url), "searchset")
        found += [each["id"] for each in expect.resources(body)]
        url = expect.link(body, "next")
    expect.equal("a resource twice", len(found) - len(set(found)), 0)
    expect.same("found, without the new one", set(found) & set(made), made)


@check(AREA, "The total is the same on every page", "search.html#3.1.1.5.2", *NEEDS, should=True)
def total(target: Target) -> None:
    for _ in range(3):
        target.create()
    body = target.search(target.type, ("_tag", target.tag), ("_count", "2"), ("_total", "accurate"))
    expect.equal("total of the first page", body.get("total"), 3)
    following = expect.link(body, "next")
    expect.require(following, "no next link after 2 of 3")
    second = expect.bundle(target.get(following), "searchset")
    expect.equal("total of the second page", second.get("total"), 3)
