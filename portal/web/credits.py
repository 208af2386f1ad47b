"""/credits: annual credits, with the advisor."""

from flask import Blueprint, render_template

from portal.db import unit_of_work
from portal.web import credit_advice, current_user_id, current_workspace_id, workspace_required

blueprint = Blueprint("credits", __name__, url_prefix="/credits")


@blueprint.get("")
@workspace_required()
def show() -> str:
    """The page; ``?units=600`` chooses how many units the advisor prices."""
    with unit_of_work(current_workspace_id(), user_id=current_user_id()) as session:
        return render_template("credits/page.html", **credit_advice.context(session))
