"""The rows of the role matrix.

``from``: the least role that gets in (owner > admin > billing > member), ``login`` where any
login may, whatever its workspaces, or ``guest`` where everybody may.
``foreign``: what the owner of another workspace finds under an address of this one: ``nothing``, or ``own``
where the address names nothing that belongs to a workspace.
"""

from dataclasses import dataclass

from portal.services.members import ROLES, may

IN, REFUSED, SIGN_IN = "in", "refused", "sign in"


@dataclass(frozen=True)
class Row:
    method: str
    path: str
    endpoint: str
    least: str
    foreign: str

    def expected(self, role: str) -> set[str]:
        """What may come of it. A public page may lead to signing in by itself."""
        if self.least == "guest":
            return {IN, SIGN_IN}
        if role not in ROLES:
            return {SIGN_IN}
        if self.least == "login":
            return {IN}
        return {IN} if may(role, self.least) else {REFUSED}


TABLE = """
GET   /                                                      accounts.home                  guest    own
GET   /account                                               accounts.page                  member   own
GET   /account/browsers                                      browsers.listing               member   own
POST  /account/browsers/<handle>/end                         browsers.end                   member   nothing
POST  /account/browsers/others/end                           browsers.end_others            member   own
GET   /account/email                                         security.change_email          member   own
POST  /account/email                                         security.change_email          member   own
GET   /account/email/<token>                                 security.change_email_confirm  guest    own
GET   /account/no-workspace                                  accounts.no_workspace          login    own
POST  /account/no-workspace                                  accounts.no_workspace          login    own
GET   /account/passkeys                                      passkeys.listing               member   own
GET   /account/passkeys/<int:passkey_id>/remove              passkeys.ask_remove            member   nothing
POST  /account/passkeys/<int:passkey_id>/remove              passkeys.remove                member   nothing
GET   /account/passkeys/new                                  passkeys.add                   member   own
POST  /account/passkeys/new                                  passkeys.add                   member   own
POST  /account/passkeys/options                              passkeys.options               member   own
GET   /account/password                                      security.change_password       member   own
POST  /account/password                                      security.change_password       member   own
GET   /account/two-step                                      two_step.page                  member   own
GET   /account/two-step/app                                  two_step.set_up                member   own
POST  /account/two-step/app                                  two_step.set_up                member   own
POST  /account/two-step/codes                                two_step.renew_codes           member   own
GET   /account/two-step/off                                  two_step.ask_off               member   own
POST  /account/two-step/off                                  two_step.turn_off              member   own
GET   /account/verify                                        freshness.page                 member   own
POST  /account/verify                                        freshness.page                 member   own
POST  /account/verify/other-way                              freshness.other_way            member   own
POST  /account/verify/passkey                                freshness.passkey              member   own
POST  /account/verify/passkey/options                        freshness.passkey_options      member   own
POST  /account/workspaces/<int:workspace_id>                 accounts.switch                member   nothing
POST  /appearance                                            navigation.appearance          guest    own
GET   /assets/<version>/<path:name>                          assets.file                    guest    own
GET   /billing                                               billing.overview               member   own
GET   /billing/activity                                      activity.listing               admin    own
GET   /billing/activity/activity.csv                         activity.export                admin    own
GET   /billing/activity/quotes/<quote:quote_id>              activity.quote                 admin    nothing
GET   /billing/details                                       details.page                   member   own
POST  /billing/details                                       details.change                 billing  own
GET   /billing/details/elsewhere                             details.elsewhere              billing  own
POST  /billing/details/elsewhere                             details.ask                    billing  own
POST  /billing/details/elsewhere/withdraw                    details.withdraw               billing  own
GET   /billing/invoices                                      invoices.listing               member   own
GET   /billing/invoices/<invoice:stripe_id>                  invoices.page                  member   nothing
GET   /billing/invoices/<invoice:stripe_id>/correction       invoices.correction            billing  nothing
POST  /billing/invoices/<invoice:stripe_id>/correction       invoices.correct               billing  nothing
GET   /billing/invoices/invoices.csv                         invoices.invoice_file          member   own
GET   /billing/invoices/lines.csv                            invoices.line_file             member   own
GET   /billing/invoices/next                                 invoices.upcoming              member   own
GET   /billing/leaving                                       leaving.page                   owner    own
GET   /billing/leaving/deletion                              leaving.delete                 owner    own
POST  /billing/leaving/deletion                              leaving.request_deletion       owner    own
POST  /billing/leaving/deletion/withdraw                     leaving.withdraw_deletion      owner    own
GET   /billing/leaving/end                                   leaving.end                    owner    own
POST  /billing/leaving/end                                   leaving.end                    owner    own
GET   /billing/leaving/end-now                               leaving.end_now                owner    own
POST  /billing/leaving/end-now                               leaving.end_now                owner    own
POST  /billing/leaving/export                                leaving.archive                owner    own
POST  /billing/leaving/keep                                  leaving.keep                   owner    own
GET   /billing/payment                                       payment.page                   billing  own
GET   /billing/payment/add                                   payment.add                    billing  own
POST  /billing/payment/add                                   payment.begin                  billing  own
GET   /billing/payment/add/<action:action_id>                payment.added                  billing  nothing
GET   /billing/payment/add/<action:action_id>/state          payment.added_state            billing  nothing
POST  /billing/payment/methods/<method:method_id>/default    payment.make_default           billing  nothing
GET   /billing/payment/methods/<method:method_id>/remove     payment.removal                billing  nothing
POST  /billing/payment/methods/<method:method_id>/remove     payment.remove                 billing  nothing
GET   /billing/payment/pay/<invoice:stripe_id>               paying.page                    billing  nothing
POST  /billing/payment/pay/<invoice:stripe_id>               paying.confirm                 billing  nothing
GET   /billing/payment/pay/<invoice:stripe_id>/done          paying.done                    billing  nothing
GET   /billing/payment/pay/<invoice:stripe_id>/state         paying.state                   billing  nothing
GET   /billing/seats                                         seats.listing                  member   own
GET   /billing/seats/<int:member_id>                         seats.members.page             admin    nothing
POST  /billing/seats/<int:member_id>                         seats.members.page             admin    nothing
GET   /billing/seats/<int:member_id>/ownership               seats.members.ownership        owner    nothing
POST  /billing/seats/<int:member_id>/ownership               seats.members.ownership        owner    nothing
GET   /billing/seats/<int:member_id>/remove                  seats.members.remove           admin    nothing
POST  /billing/seats/<int:member_id>/remove                  seats.members.remove           admin    nothing
POST  /billing/seats/assign                                  seats.assign                   admin    own
GET   /billing/seats/import                                  seats.imports.form             admin    own
POST  /billing/seats/import                                  seats.imports.preview          admin    own
POST  /billing/seats/import/confirm                          seats.imports.confirm          admin    own
POST  /billing/seats/invitations/<int:invitation_id>/resend  seats.invitations.resend       admin    nothing
POST  /billing/seats/invitations/<int:invitation_id>/revoke  seats.invitations.revoke       admin    nothing
GET   /billing/seats/invite                                  seats.invitations.invite       admin    own
POST  /billing/seats/invite                                  seats.invitations.invite       admin    own
GET   /billing/seats/leave                                   seats.members.leave            member   own
POST  /billing/seats/leave                                   seats.members.leave            member   own
GET   /billing/subscription                                  subscription.page              billing  own
POST  /billing/subscription                                  subscription.prepare           billing  own
GET   /billing/subscription/<quote:quote_id>                 subscription.quote             billing  nothing
POST  /billing/subscription/<quote:quote_id>/confirm         subscription.confirm           billing  nothing
GET   /billing/subscription/<quote:quote_id>/done            subscription.done              billing  nothing
POST  /billing/subscription/<quote:quote_id>/renew           subscription.renew             billing  nothing
GET   /billing/subscription/<quote:quote_id>/state           subscription.state             billing  nothing
GET   /billing/subscription/prices                           subscription.prices            billing  own
POST  /billing/subscription/prices                           subscription.move              billing  own
POST  /billing/subscription/prices/back                      subscription.back              billing  own
POST  /billing/subscription/undo                             subscription.undo              billing  own
GET   /billing/swap                                           swaps.page                     billing  own
POST  /billing/swap                                           swaps.prepare                  billing  own
GET   /checkout                                              checkout.details               billing  own
POST  /checkout                                              checkout.details               billing  own
GET   /checkout/<quote:quote_id>                             checkout.page                  billing  nothing
POST  /checkout/<quote:quote_id>/confirm                     checkout.confirm               billing  nothing
GET   /checkout/<quote:quote_id>/done                        checkout.done                  billing  nothing
GET   /checkout/<quote:quote_id>/promotion                   checkout.promotion             billing  nothing
POST  /checkout/<quote:quote_id>/promotion                   checkout.promotion             billing  nothing
POST  /checkout/<quote:quote_id>/renew                       checkout.renew                 billing  nothing
GET   /checkout/<quote:quote_id>/state                       checkout.state                 billing  nothing
GET   /confirm                                               security.send_confirmation     guest    own
POST  /confirm                                               security.send_confirmation     guest    own
GET   /confirm/<token>                                       security.confirm_email         guest    own
POST  /confirm/<token>                                       security.confirm_email         guest    own
GET   /credits                                               credits.show                   member   own
GET   /credits/entries.csv                                    credits.entry_file             member   own
GET   /credits/history                                        credits.history                member   own
GET   /credits/price                                         credit_advice.price            member   own
GET   /credits/automatic                                     credit_top_ups.page            billing  own
POST  /credits/automatic                                     credit_top_ups.change          billing  own
GET   /credits/buy                                           credit_purchases.form          billing  own
POST  /credits/buy                                           credit_purchases.prepare       billing  own
GET   /credits/purchases/<quote:quote_id>                    credit_purchases.quote         billing  nothing
POST  /credits/purchases/<quote:quote_id>/confirm            credit_purchases.confirm       billing  nothing
GET   /credits/purchases/<quote:quote_id>/done               credit_purchases.done          billing  nothing
GET   /credits/purchases/<quote:quote_id>/refund             credit_purchases.refund        billing  nothing
POST  /credits/purchases/<quote:quote_id>/refund             credit_purchases.give_back     billing  nothing
POST  /credits/purchases/<quote:quote_id>/renew              credit_purchases.renew         billing  nothing
POST  /credits/purchases/<quote:quote_id>/renewal            credit_purchases.renewal       billing  nothing
GET   /credits/purchases/<quote:quote_id>/state              credit_purchases.state         billing  nothing
GET   /developers                                            api_keys.listing               admin    own
GET   /developers/api                                        api_reference.page             guest    own
GET   /developers/keys/<key:key_id>/revoke                   api_keys.revoke                admin    nothing
POST  /developers/keys/<key:key_id>/revoke                   api_keys.revoke                admin    nothing
GET   /developers/keys/<key:key_id>/rotate                   api_keys.rotate                admin    nothing
POST  /developers/keys/<key:key_id>/rotate                   api_keys.rotate                admin    nothing
GET   /developers/keys/new                                   api_keys.make                  admin    own
POST  /developers/keys/new                                   api_keys.make                  admin    own
GET   /development/mail                                      development.mails              guest    own
GET   /development/mail/<name>                               development.mail               guest    own
GET   /development/mail/<name>/html                          development.html               guest    own
GET   /healthz                                               health.alive                   guest    own
GET   /invitations/<token>                                   joining.page                   guest    own
POST  /invitations/<token>                                   joining.accept                 guest    own
POST  /invitations/<token>/sign-up                           joining.sign_up                guest    own
GET   /login                                                 security.login                 guest    own
POST  /login                                                 security.login                 guest    own
POST  /login/passkey                                         second_step.passkey            guest    own
POST  /login/passkey/options                                 second_step.passkey_options    guest    own
GET   /login/second                                          second_step.page               guest    own
POST  /login/second                                          second_step.page               guest    own
POST  /logout                                                security.logout                guest    own
GET   /pricing                                               pricing.page                   guest    own
GET   /pricing/choice                                        pricing.choice                 guest    own
GET   /readyz                                                health.ready                   guest    own
GET   /reset                                                 security.forgot_password       guest    own
POST  /reset                                                 security.forgot_password       guest    own
GET   /reset/<token>                                         security.reset_password        guest    own
POST  /reset/<token>                                         security.reset_password        guest    own
GET   /signup                                                security.register              guest    own
POST  /signup                                                security.register              guest    own
GET   /signup/sent                                           accounts.check_mail            guest    own
GET   /start                                                 accounts.start                 member   own
GET   /usage/replay                                          replay.page                    member   own
GET   /usage/limits                                          usage_limits.page              member   own
POST  /usage/limits                                          usage_limits.change            admin    own
POST  /usage/limits/alerts                                   usage_limits.warn              billing  own
GET   /usage/limits/more                                     usage_limits.more              admin    own
POST  /usage/limits/more                                     usage_limits.allow             admin    own
GET   /usage                                                  usage.page                     member   own
GET   /usage/resolutions                                      usage.resolutions.listing      member   own
GET   /usage/resolutions.csv                                  usage.resolution_file          member   own
GET  /usage/resolutions/<conversation:conversation_id>/<int:episode> usage.resolutions.evidence member nothing
POST /usage/resolutions/<conversation:conversation_id>/<int:episode> usage.resolutions.contest billing nothing
GET   /usage/units/<key>.csv                                  usage.unit_file                member   own
"""

ROWS = [Row(*line.split()) for line in TABLE.strip().splitlines()]
