import { intentOf, request } from "./api.js";
import { confirm, finish } from "./confirm.js";
import { require } from "./errors.js";
import { Group } from "./group.js";

/** @typedef {import('./confirm.js').ConfirmOptions} ConfirmOptions */

const VERSION = "endive";

/** What `Stripe(key)` returns. */
class StripeSandbox {
  /** @param {string} key */
  constructor(key) {
    this.key = key;
  }

  /** @param {Record<string, any>} [options] */
  elements(options) {
    return new Group(this.key, options);
  }

  /**
   * @param {ConfirmOptions} options
   * @returns {Promise<any>} a result, or nothing ever when the page is left
   */
  confirmPayment(options) {
    return confirm(this.key, "payment", options);
  }

  /**
   * @param {ConfirmOptions} options
   * @returns {Promise<any>} as confirmPayment
   */
  confirmSetup(options) {
    return confirm(this.key, "setup", options);
  }

  /**
   * Do what an intent that the server confirmed still asks of the customer.
   * @param {{clientSecret: string}} options
   * @returns {Promise<import('@stripe/stripe-js').PaymentIntentOrSetupIntentResult>}
   */
  async handleNextAction(options) {
    const secret = options?.clientSecret;
    require(typeof secret ===
      "string", "stripe.handleNextAction(): clientSecret should be a client secret string.");
    const intent = intentOf(secret);
    require(intent, `stripe.handleNextAction(): not a client secret: ${secret}.`);
    const answer = await request(this.key, "GET", intent.path, { client_secret: secret });
    require(answer.error ||
      answer.status ===
        "requires_action", `handleNextAction: The ${intent.kind === "payment" ? "PaymentIntent" : "SetupIntent"} supplied is not in the requires_action state.`);
    return finish(this.key, intent.kind, secret, answer);
  }

  /**
   * @param {string} clientSecret
   * @returns {Promise<import('@stripe/stripe-js').PaymentIntentResult>}
   */
  async retrievePaymentIntent(clientSecret) {
    return this.retrieve("payment", clientSecret);
  }

  /**
   * @param {string} clientSecret
   * @returns {Promise<import('@stripe/stripe-js').SetupIntentResult>}
   */
  async retrieveSetupIntent(clientSecret) {
    return this.retrieve("setup", clientSecret);
  }

  /**
   * @param {'payment' | 'setup'} kind
   * @param {string} secret
   * @returns {Promise<any>}
   */
  async retrieve(kind, secret) {
    const intent = typeof secret === "string" ? intentOf(secret) : null;
    const call = kind === "payment" ? "retrievePaymentIntent" : "retrieveSetupIntent";
    require(intent?.kind ===
      kind, `Invalid value for stripe.${call} intent secret: value should be a client secret of the form \${id}_secret_\${secret}. You specified: ${secret}.`);
    const answer = await request(this.key, "GET", intent.path, { client_secret: secret });
    if (answer.error) {
      return { error: answer.error };
    }
    return kind === "payment" ? { paymentIntent: answer } : { setupIntent: answer };
  }
}

/**
 * `Stripe(publishableKey)`: the start of everything.
 * @param {string} key
 */
export function Stripe(key) {
  require(typeof key === "string" && key !== "", "Missing value for Stripe(): apiKey should be a string.");
  require(!key.startsWith(
    "sk_",
  ), "You should not use your secret key with Stripe.js.\n        Please pass a publishable key instead.");
  require(key.startsWith(
    "pk_test_",
  ), `This is Stripe's sandbox: it takes publishable keys that start with pk_test_ only. You passed: ${key}.`);
  return new StripeSandbox(key);
}
Stripe.version = VERSION;

Object.assign(window, { Stripe });
