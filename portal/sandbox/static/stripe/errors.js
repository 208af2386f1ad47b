/** A mistake in how the page calls Stripe.js, as real Stripe.js throws it: for the developer, not for the customer. */
export class IntegrationError extends Error {
  /** @param {string} message */
  constructor(message) {
    super(message);
    this.name = "IntegrationError";
  }
}

/**
 * Refuse a wrong call.
 * @param {unknown} condition
 * @param {string} message
 * @returns {asserts condition}
 */
export function require(condition, message) {
  if (!condition) {
    throw new IntegrationError(message);
  }
}

/**
 * An error result that did not come from the API.
 * @param {string} message
 * @returns {{error: import('@stripe/stripe-js').StripeError}}
 */
export function connectionError(message) {
  return { error: { type: "api_connection_error", message } };
}
