/** Which wallets may show, in which order, and what their buttons say. */

/** @typedef {'applePay' | 'googlePay' | 'link'} Wallet */
/** @typedef {import('@stripe/stripe-js').ExpressPaymentType} ExpressPaymentType */

/** @type {Record<Wallet, {type: ExpressPaymentType, snake: string, name: string, needs: string}>} */
export const WALLETS = {
  applePay: { type: "apple_pay", snake: "apple_pay", name: "Apple Pay", needs: "card" },
  googlePay: { type: "google_pay", snake: "google_pay", name: "Google Pay", needs: "card" },
  link: { type: "link", snake: "link", name: "Link", needs: "link" },
};

/** Words before the wallet's name, by `buttonType`; a plain button says the name alone. */
const VERBS = {
  "add-money": "Add money with",
  book: "Book with",
  buy: "Buy with",
  "check-out": "Check out with",
  checkout: "Check out with",
  contribute: "Contribute with",
  donate: "Donate with",
  order: "Order with",
  pay: "Pay with",
  plain: "",
  reload: "Reload with",
  rent: "Rent with",
  subscribe: "Subscribe with",
  support: "Support with",
  tip: "Tip with",
  "top-up": "Top up with",
};

/** What real Stripe.js shows where `buttonType` is not given. @type {Record<Wallet, keyof typeof VERBS>} */
const USUAL = { applePay: "plain", googlePay: "buy", link: "pay" };

/**
 * @param {Record<string, any>} elements the options of the group
 * @param {Record<string, any>} options the options of the element
 * @param {string[]} types the payment method types on offer
 * @returns {Wallet[]}
 */
export function offered(elements, options, types) {
  const { allowedPaymentMethodTypes: allowed, excludedPaymentMethodTypes: excluded = [] } = elements;
  const usable = (/** @type {string} */ type) =>
    types.includes(type) && (!allowed || allowed.includes(type)) && !excluded.includes(type);
  const wanted = (/** @type {Wallet} */ wallet) =>
    (options.paymentMethods?.[wallet] ?? options.wallets?.[wallet]) !== "never";
  const order = options.paymentMethodOrder ?? [];
  const place = (/** @type {Wallet} */ wallet) => {
    const found = [WALLETS[wallet].snake, wallet].map((name) => order.indexOf(name)).find((at) => at >= 0);
    return found ?? order.length;
  };
  return /** @type {Wallet[]} */ (Object.keys(WALLETS))
    .filter((wallet) => usable(WALLETS[wallet].needs) && wanted(wallet))
    .sort((one, other) => place(one) - place(other));
}

/**
 * @param {Wallet} wallet
 * @param {Record<string, any>} options
 */
export function verb(wallet, options) {
  const type = /** @type {keyof typeof VERBS} */ (options.buttonType?.[wallet] ?? USUAL[wallet]);
  return VERBS[type] ?? VERBS[USUAL[wallet]];
}
