"""How a pack of credits came to be bought."""

PURCHASE, RENEWAL, TOP_UP, SWAP = "purchase", "renewal", "top_up", "swap"
BY_ITSELF = (RENEWAL, TOP_UP)
