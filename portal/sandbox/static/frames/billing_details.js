/** Billing details: which of them the page collects itself, and how those from several places come together. */

/** Parts of an address that the Payment Element would ask for, as the page and as the API name them. */
const PARTS = { country: "country", postalCode: "postal_code" };

/** @typedef {{country: boolean, postalCode: boolean}} Hidden */

/**
 * What the page opted out of with the `fields` option.
 * @param {import('@stripe/stripe-js').BillingDetailsFieldsOption} [fields]
 * @returns {Hidden}
 */
export function hiddenParts(fields = "auto") {
  const address = typeof fields === "string" ? fields : (fields.address ?? "auto");
  const never = (/** @type {keyof Hidden} */ part) =>
    (typeof address === "string" ? address : address[part]) === "never";
  return { country: never("country"), postalCode: never("postalCode") };
}

/**
 * The complaint about a part that the page said it would collect, and did not pass.
 * @param {Hidden} hidden
 * @param {Record<string, any>} data
 */
export function missingPart(hidden, data) {
  const given = data.billing_details?.address ?? {};
  for (const [part, name] of /** @type {[keyof Hidden, string][]} */ (Object.entries(PARTS))) {
    if (hidden[part] && given[name] === undefined) {
      return (
        `You specified "never" for fields.billing_details.address.${name} when creating the payment Element, but did not pass ` +
        `confirmParams.payment_method_data.billing_details.address.${name} when calling stripe.confirmPayment(). If you opt out of ` +
        `collecting data via the payment Element using the fields option, the data must be passed in when calling stripe.confirmPayment().`
      );
    }
  }
  return null;
}

/**
 * Later values win; empty ones do not count.
 * @param {...Record<string, any>} parts
 * @returns {Record<string, any>}
 */
export function merge(...parts) {
  /** @type {Record<string, any>} */
  const result = {};
  for (const part of parts) {
    for (const [name, value] of Object.entries(part)) {
      if (value && typeof value === "object") {
        result[name] = merge(result[name] ?? {}, value);
      } else if (value !== undefined && value !== null && value !== "") {
        result[name] = value;
      }
    }
  }
  return result;
}
