import { connectionError } from "./errors.js";
import { ORIGIN } from "./origin.js";

/** @typedef {{error: import('@stripe/stripe-js').StripeError}} Failure */

/**
 * Nested values as Stripe's form fields: `{a: {b: 1}}` is `a[b]=1`; undefined and null are left out.
 * @param {object} values
 * @param {string} [prefix]
 * @returns {[string, string][]}
 */
export function formFields(values, prefix = "") {
  return Object.entries(values).flatMap(([name, value]) => {
    const full = prefix ? `${prefix}[${name}]` : name;
    if (value === undefined || value === null) {
      return [];
    }
    return typeof value === "object"
      ? formFields(value, full)
      : [/** @type {[string, string]} */ ([full, String(value)])];
  });
}

/**
 * Call the sandbox's API with the publishable key, as a request that needs no preflight.
 * @param {string} key
 * @param {'GET' | 'POST'} method
 * @param {string} path
 * @param {object} params
 * @returns {Promise<any>} the object, or `{error}`
 */
export async function request(key, method, path, params) {
  const fields = new URLSearchParams(formFields({ ...params, key }));
  const address = method === "GET" ? `${ORIGIN}${path}?${fields}` : `${ORIGIN}${path}`;
  try {
    const response = await fetch(address, { method, body: method === "GET" ? undefined : fields });
    return await response.json();
  } catch {
    return connectionError("We could not reach the payment service. Check your connection and try again.");
  }
}

/**
 * What a client secret belongs to.
 * @param {string} secret
 * @returns {{id: string, kind: 'payment' | 'setup', path: string} | null}
 */
export function intentOf(secret) {
  const match = /^((pi|seti)_[A-Za-z0-9]+)_secret_[A-Za-z0-9]+$/.exec(secret);
  if (!match) {
    return null;
  }
  const kind = match[2] === "pi" ? "payment" : "setup";
  return { id: match[1], kind, path: `/v1/${kind}_intents/${match[1]}` };
}
