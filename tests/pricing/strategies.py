"""What property tests are fed with."""

from decimal import Decimal

from hypothesis import strategies as st

from portal.pricing import Band, BilledItem, Catalog, Discount, Selection, catalogs

rates = st.decimals(min_value=0, max_value=100_000, places=4)


@st.composite
def bands(draw: st.DrawFn) -> tuple[Band, ...]:
    """One to five bands that rise, the last open; now and then with a flat amount."""
    bounds = sorted(draw(st.sets(st.integers(1, 5000), max_size=4)))
    flat_amounts = st.one_of(st.just(0), st.integers(0, 5000))
    return tuple(Band(bound, draw(rates), draw(flat_amounts)) for bound in [*bounds, None])


@st.composite
def priced(draw: st.DrawFn) -> tuple[Catalog, Selection]:
    """A catalogue and a selection that it sells, with usage of every kind that it may have."""
    catalog = draw(st.sampled_from(catalogs()))
    seats = draw(st.integers(1, 500))
    add_ons = {
        key: draw(st.integers(0, seats if add_on.per == "seat" else 1))
        for key, add_on in catalog.add_ons.items()
    }
    usage = {
        key: draw(st.integers(0, 200_000))
        for key, rate in catalog.usage.items()
        if rate.requires is None or add_ons[rate.requires]
    }
    tier, interval = draw(st.sampled_from(tuple(catalog.tiers))), draw(st.sampled_from(catalog.intervals))
    return catalog, Selection(tier, seats, interval, add_ons, usage)


@st.composite
def discounts(draw: st.DrawFn, *, lines: tuple[str, ...], most: int = 100) -> tuple[Discount, ...]:
    """Up to four discounts on these lines or the whole order, none above ``most`` percent."""
    amounts = st.builds(Discount, st.sampled_from([None, *lines]), amount_off=st.integers(1, 3_000_000))
    percents = st.builds(
        Discount,
        st.sampled_from([None, *lines]),
        percent_off=st.decimals(min_value=Decimal("0.01"), max_value=most, places=2),
    )
    return tuple(draw(st.lists(st.one_of(amounts, percents), max_size=4)))


billed_items = st.builds(BilledItem, rates, st.integers(0, 1000))
