import { intentOf, request } from "./api.js";
import { openDialog } from "./dialog.js";
import { IntegrationError, require } from "./errors.js";
import { Group } from "./group.js";

/** @typedef {'payment' | 'setup'} Kind */
/** @typedef {import('@stripe/stripe-js').StripeError} StripeError */
/** @typedef {{elements?: unknown, clientSecret?: string, confirmParams?: Record<string, any>, redirect?: string}} ConfirmOptions */

const CALL = { payment: "confirmPayment", setup: "confirmSetup" };
const RESULT = { payment: "paymentIntent", setup: "setupIntent" };
const ERROR_MEMBER = { payment: "payment_intent", setup: "setup_intent" };
const DEFERRED_GUIDE = "https://stripe.com/docs/payments/accept-a-payment-deferred";
const REDIRECT_STATUS = { succeeded: "succeeded", processing: "pending", requires_capture: "succeeded" };

/**
 * `stripe.confirmPayment` and `stripe.confirmSetup`.
 * @param {string} key
 * @param {Kind} kind
 * @param {ConfirmOptions} options
 * @returns {Promise<any>}
 */
export async function confirm(key, kind, options) {
  const { group, secret, params, ifRequired } = checked(kind, options);
  let result;
  try {
    const answer = await collected(key, kind, group, secret, params);
    result = await finish(key, kind, secret, answer, group?.options.appearance);
  } finally {
    if (group) {
      group.express = null;
    }
  }
  if (result.error || ifRequired) {
    return result;
  }
  return leave(kind, secret, params.return_url, result[RESULT[kind]]);
}

/**
 * @param {Kind} kind
 * @param {ConfirmOptions} options
 */
function checked(kind, options) {
  const call = `stripe.${CALL[kind]}()`;
  require(options && typeof options === "object", `Please use an object as the argument of ${call}.`);
  const group = options.elements;
  require(group === undefined ||
    group instanceof
      Group, `Invalid value for ${call}: elements should be an Elements object. You can create an Elements object with stripe.elements().`);
  const params = options.confirmParams ?? {};
  require(group ||
    params.payment_method, `Invalid value for ${call}: elements should be given, or a payment_method in confirmParams.`);
  const ifRequired = options.redirect === "if_required";
  require(options.redirect === undefined ||
    ifRequired ||
    options.redirect ===
      "always", `Invalid value for ${call}: redirect should be one of the following strings: always, if_required.`);
  require(ifRequired ||
    params.return_url, `Missing value for ${call}: confirmParams.return_url should be a URL string.`);
  require(params.return_url === undefined ||
    /^[a-z][a-z0-9+.-]*:\/\//i.test(
      params.return_url,
    ), `Invalid value for ${call}: confirmParams.return_url should be an absolute URL. You specified: ${params.return_url}.`);
  const secret = options.clientSecret ?? group?.options.clientSecret;
  checkSecret(kind, call, secret, group);
  if (group && !params.payment_method) {
    checkGroup(call, kind, group);
  }
  return { group, secret: String(secret), params, ifRequired };
}

/**
 * @param {Kind} kind
 * @param {string} call
 * @param {unknown} secret
 * @param {Group | undefined} group
 */
function checkSecret(kind, call, secret, group) {
  require(typeof secret === "string", group?.deferred
    ? `You must pass in a clientSecret when calling ${call}.`
    : `Missing value for ${call}: a clientSecret is needed, in elements() or in the call.`);
  const intent = intentOf(secret);
  require(intent, `Invalid value for ${call}: clientSecret should be a client secret of the form \${id}_secret_\${secret}. You specified: ${secret}.`);
  require(intent.kind ===
    kind, `Invalid value for ${call}: clientSecret should be that of a ${kind === "payment" ? "PaymentIntent" : "SetupIntent"}. You specified: ${secret}.`);
}

/**
 * @param {string} call
 * @param {Kind} kind
 * @param {Group} group
 */
function checkGroup(call, kind, group) {
  require(group.getElement("payment")?.mounted() ||
    group
      .getElement("expressCheckout")
      ?.mounted(), `Invalid value for ${call}: elements should have a mounted Payment Element or Express Checkout Element.`);
  require(group.express ||
    group
      .getElement("payment")
      ?.mounted(), `Element confirming payment is "expressCheckout", but ${call} was not called within the "confirm" event. ` +
    `Please call ${call} in the "confirm" event (https://stripe.com/docs/js/elements_object/express_checkout_element_confirm_event)`);
  require(!(
    group.deferred &&
    kind === "payment" &&
    group.options.mode === "setup"
  ), `${call} cannot be used with Elements made with mode "setup". Use stripe.confirmSetup() instead.`);
  require(!group.deferred ||
    group.submitted, `elements.submit() must be called before ${call}. Call elements.submit() as soon as your customer presses pay, ` +
    `prior to any asynchronous work. Integration guide: ${DEFERRED_GUIDE}`);
}

/**
 * The options of deferred Elements that the intent has to agree with.
 * @param {Group | undefined} group
 * @param {Kind} kind
 */
function expectation(group, kind) {
  if (!group?.deferred || kind === "setup") {
    return undefined;
  }
  const {
    mode,
    amount,
    currency,
    setupFutureUsage,
    setup_future_usage: spelled,
    captureMethod,
  } = group.options;
  const use = mode === "subscription" ? "off_session" : (setupFutureUsage ?? spelled ?? "null");
  return {
    amount,
    currency,
    setup_future_usage: use,
    ...(captureMethod ? { capture_method: captureMethod } : {}),
  };
}

/**
 * Send the intent's confirmation: from the Payment Element's frame, which alone knows what was typed, or from here
 * for a saved method or a wallet.
 * @param {string} key
 * @param {Kind} kind
 * @param {Group | undefined} group
 * @param {string} secret
 * @param {Record<string, any>} params
 */
async function collected(key, kind, group, secret, params) {
  const common = {
    client_secret: secret,
    return_url: params.return_url,
    use_stripe_sdk: true,
    expected: expectation(group, kind),
    ...(kind === "payment" ? { receipt_email: params.receipt_email, shipping: params.shipping } : {}),
  };
  const intent = intentOf(secret);
  const path = `${intent?.path}/confirm`;
  if (params.payment_method) {
    return request(key, "POST", path, {
      ...common,
      expected: undefined,
      payment_method: params.payment_method,
    });
  }
  if (group?.express) {
    const handed = group.express === "link" ? "link" : "wallet";
    return request(key, "POST", path, { ...common, [handed]: group.session });
  }
  const frame = group?.getElement("payment")?.mounted();
  const result = await frame?.call("confirm", { path, common, data: params.payment_method_data ?? {} });
  if (result.integration) {
    throw new IntegrationError(result.integration);
  }
  return result;
}

/**
 * Do what the confirmed intent still asks for, and give the result its shape.
 * @param {string} key
 * @param {Kind} kind
 * @param {string} secret
 * @param {any} answer
 * @param {import('@stripe/stripe-js').Appearance} [appearance] of the dialog, if there has to be one
 * @returns {Promise<any>}
 */
export async function finish(key, kind, secret, answer, appearance) {
  if (answer.error) {
    return { error: answer.error };
  }
  const action = answer.status === "requires_action" ? answer.next_action : null;
  if (action?.type === "redirect_to_url") {
    window.location.assign(action.redirect_to_url.url);
    return new Promise(() => undefined);
  }
  if (action?.type === "use_stripe_sdk") {
    return authenticated(key, kind, secret, appearance);
  }
  return { [RESULT[kind]]: answer };
}

/**
 * @param {string} key
 * @param {Kind} kind
 * @param {string} secret
 * @param {import('@stripe/stripe-js').Appearance | undefined} appearance
 */
async function authenticated(key, kind, secret, appearance) {
  const intent = intentOf(secret);
  await openDialog("challenge", "3-D Secure authentication", { intent: intent?.id, secret, appearance })
    .result;
  const after = await request(key, "GET", String(intent?.path), { client_secret: secret });
  if (after.error) {
    return { error: after.error };
  }
  const failure = kind === "payment" ? after.last_payment_error : after.last_setup_error;
  if (after.status === "requires_payment_method" && failure) {
    return { error: { ...failure, [ERROR_MEMBER[kind]]: after } };
  }
  return { [RESULT[kind]]: after };
}

/**
 * Go to the return_url as real Stripe.js does after a payment that needed no redirect.
 * @param {Kind} kind
 * @param {string} secret
 * @param {string} returnUrl
 * @param {{id: string, status: keyof typeof REDIRECT_STATUS}} intent
 * @returns {Promise<never>}
 */
function leave(kind, secret, returnUrl, intent) {
  const name = ERROR_MEMBER[kind];
  const target = new URL(returnUrl);
  target.searchParams.set(name, intent.id);
  target.searchParams.set(`${name}_client_secret`, secret);
  target.searchParams.set("redirect_status", REDIRECT_STATUS[intent.status] ?? "failed");
  window.location.assign(target);
  return new Promise(() => undefined);
}
