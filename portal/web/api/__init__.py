"""``/v1``: what the customer's programs send and read, in JSON.

An application of its own in front of the pages, as the door for webhooks is: nobody is signed in here, no
page is drawn, and what pages need for that takes longer than all the work. Its words are English in every
country, since programs and programmers read them; /developers/api says them in the reader's language.
"""

import time

from flask import Flask, g, request
from werkzeug.middleware.dispatcher import DispatcherMiddleware
from werkzeug.wrappers import Response

from portal.config import Settings
from portal.gateways import Gateways
from portal.web import request_log
from portal.web.api import credits, events, keys, openapi, problems, quotes, reservations, resolutions, usage
from portal.web.security import Seal

PATH = "/v1"
MOST_BYTES = 1024 * 1024

# in the order in which the document tells of them
BLUEPRINTS = (events, usage, credits, reservations, resolutions, quotes, openapi)


def create_api(gateways: Gateways, settings: Settings, hosts: list[str]) -> Flask:
    """The application at PATH, with the neighbours of the portal in front of which it stands."""
    api = Flask(__name__, static_folder=None, template_folder=None)
    api.config.update(
        MAX_CONTENT_LENGTH=MOST_BYTES,
        TRUSTED_HOSTS=hosts,
        # programs of other origins have no business here, so no browser needs to ask what it may
        PROVIDE_AUTOMATIC_OPTIONS=False,
    )
    api.extensions["settings"] = settings
    api.extensions["portal"] = gateways
    api.extensions[keys.WINDOWS] = keys.windows(settings)
    api.extensions[events.TAKING] = events.combined(gateways)
    api.url_map.converters["reservation"] = reservations.ReservationId
    problems.install(api, settings.base_url)
    _install_frame(api, settings)
    for module in BLUEPRINTS:
        api.register_blueprint(module.blueprint)
    return api


def _install_frame(api: Flask, settings: Settings) -> None:
    """What every answer carries, whatever became of the request, and its line in the log."""
    seal = Seal(settings)

    @api.before_request
    def begin() -> None:
        g.began = time.perf_counter()
        g.request_id = request_log.name_request(request)

    @api.after_request
    def finish(answer: Response) -> Response:
        if "request_id" not in g:
            begin()
        answer.headers[request_log.HEADER] = g.request_id
        keys.tell_limits(answer)
        seal.put(answer, secure=request.is_secure)
        caller = g.get("caller")
        request_log.tell(
            request,
            answer,
            route=f"{PATH}{request.url_rule.rule}" if request.url_rule else PATH,
            began=g.began,
            workspace_id=caller.workspace_id if caller else None,
        )
        return answer


def install(app: Flask, settings: Settings) -> None:
    """Put the API in front of ``app``."""
    api = create_api(app.extensions["portal"], settings, app.config["TRUSTED_HOSTS"])
    app.extensions["portal.api"] = api
    app.wsgi_app = DispatcherMiddleware(app.wsgi_app, {PATH: api})  # type: ignore[method-assign]
