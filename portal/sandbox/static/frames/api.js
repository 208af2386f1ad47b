import { WORDS } from "./words.js";

/**
 * Nested values as Stripe's form fields: `{a: {b: 1}}` is `a[b]=1`; undefined, null and empty strings are left out.
 * @param {object} values
 * @param {string} [prefix]
 * @returns {[string, string][]}
 */
function formFields(values, prefix = "") {
  return Object.entries(values).flatMap(([name, value]) => {
    const full = prefix ? `${prefix}[${name}]` : name;
    if (value === undefined || value === null || value === "") {
      return [];
    }
    return typeof value === "object"
      ? formFields(value, full)
      : [/** @type {[string, string]} */ ([full, String(value)])];
  });
}

/** @param {Promise<Response>} response */
async function read(response) {
  try {
    return await (await response).json();
  } catch {
    return { error: { type: "api_connection_error", message: WORDS.unreachable } };
  }
}

/**
 * Call the API with the publishable key.
 * @param {string} path
 * @param {object} params
 * @returns {Promise<any>} the object, or `{error}`
 */
export function post(path, params) {
  return read(fetch(path, { method: "POST", body: new URLSearchParams(formFields(params)) }));
}

/**
 * @param {string} path
 * @param {object} params
 * @returns {Promise<any>}
 */
export function get(path, params) {
  return read(fetch(`${path}?${new URLSearchParams(formFields(params))}`));
}

/**
 * Ask Link, which answers this sandbox's frames only.
 * @param {'lookup' | 'verify' | 'signup' | 'session' | 'logout'} action
 * @param {object} body
 * @returns {Promise<any>}
 */
export function link(action, body) {
  return post(`/elements/link/${action}`, body);
}
