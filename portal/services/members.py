"""What a member may do in a workspace."""

# each role may do all that those after it may
ROLES = ("owner", "admin", "billing", "member")


def may(role: str, needed: str) -> bool:
    """Whether a member with ``role`` may do what needs ``needed``."""
    return ROLES.index(role) <= ROLES.index(needed)
