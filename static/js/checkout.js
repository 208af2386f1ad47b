// @ts-check
/**
 * /checkout/<quote>: Stripe's Elements on the final quote. Confirming sends nothing but the quote's id (it is in
 * the address); what is charged was decided by the server when the quote was made.
 */

import { appearance } from "./appearance.js";

/** @typedef {import("@stripe/stripe-js").Stripe} Stripe */
/** @typedef {import("@stripe/stripe-js").StripeElements} StripeElements */
/** @typedef {import("@stripe/stripe-js").StripeError} StripeError */
/** @typedef {import("@stripe/stripe-js").StripeExpressCheckoutElementConfirmEvent} StripeExpressCheckoutElementConfirmEvent */
/** @typedef {{ collect: "payment" | "setup" | "nothing", client_secret: string | null }} Confirmation */

/** States in which the purchase went on: paid, or on its way. */
const WENT_ON = new Set(["processing", "confirming", "active", "trialing"]);
/** States in which this quote is over, and its own address says why. */
const OVER = new Set(["expired", "abandoned", "failed"]);

const form = /** @type {HTMLFormElement} */ (document.getElementById("pay"));
const button = /** @type {HTMLButtonElement} */ (document.getElementById("pay-button"));
const problem = /** @type {HTMLElement} */ (document.getElementById("pay-problem"));
const words = /** @type {HTMLElement} */ (document.getElementById("pay-words")).dataset;
const label = button.textContent;

let working = false;

/** @param {boolean} now */
function setWorking(now) {
  working = now;
  button.setAttribute("aria-disabled", String(now));
  button.textContent = now ? (button.dataset.working ?? label) : label;
}

/**
 * Says what went wrong; false, because the purchase did not go on.
 * @param {string | undefined} title
 * @param {string | undefined} body
 */
function say(title, body) {
  const [head, text] = problem.querySelectorAll("p");
  if (head) head.textContent = title ?? "";
  if (text) text.textContent = body ?? "";
  problem.hidden = false;
  problem.scrollIntoView({ block: "nearest" });
  setWorking(false);
  return false;
}

/**
 * What to do about a refusal, in our words; Stripe's own message comes first.
 * @param {StripeError} error
 */
function advice(error) {
  switch (error.decline_code ?? error.code) {
    case "insufficient_funds":
    case "card_velocity_exceeded":
      return words.funds;
    case "expired_card":
    case "invalid_expiry_year":
      return words.expired;
    case "incorrect_cvc":
    case "invalid_cvc":
      return words.code;
    case "payment_intent_authentication_failure":
    case "setup_intent_authentication_failure":
    case "authentication_required":
      return words.authentication;
    case "generic_decline":
    case "do_not_honor":
      return words.declined;
    default:
      return "";
  }
}

/**
 * Whether the error only says that the intent was confirmed before, by another tab or an earlier try.
 * @param {StripeError} error
 */
function alreadyConfirmed(error) {
  const status = (error.payment_intent ?? error.setup_intent)?.status;
  return status === "succeeded" || status === "processing" || /_unexpected_state$/.test(error.code ?? "");
}

/** @param {StripeError} error */
function refused(error) {
  // only a definite refusal is known to have charged nothing
  const definite = error.type === "card_error" || error.type === "validation_error" || /_authentication_failure$/.test(error.code ?? "");
  if (!definite) return say(words.unknownTitle, words.unknown);
  const said = [error.message, words.notCharged, advice(error)].filter(Boolean).join(" ");
  return say(error.type === "validation_error" ? words.formTitle : words.failedTitle, said);
}

/**
 * Whether there is nothing left to do here (paid in another tab, replaced, expired); then the right page is shown.
 * After an error Stripe itself is asked: a webhook may still be under way.
 */
async function wentOn(askStripe = false) {
  try {
    const address = `${form.dataset.state}${askStripe ? "?ask_stripe=1" : ""}`;
    const response = await fetch(address, { headers: { Accept: "application/json" } });
    if (!response.ok) return false;
    const { name } = await response.json();
    if (WENT_ON.has(name)) location.replace(form.dataset.done ?? "");
    else if (OVER.has(name)) location.replace(form.action.replace(/\/confirm$/, ""));
    else return false;
    return true;
  } catch {
    return false;
  }
}

/** @returns {Promise<Confirmation | null>} */
async function confirm() {
  const response = await fetch(form.action, {
    method: "POST",
    headers: { Accept: "application/json", "Content-Type": "application/json", "X-CSRFToken": form.dataset.token ?? "" },
    body: "{}",
  });
  if (response.status === 429) {
    say(words.tooManyTitle, words.tooMany);
    return null;
  }
  if (!response.headers.get("Content-Type")?.includes("json")) {
    // signed out meanwhile, here or in another tab: the page itself knows the way to sign in and back
    location.reload();
    return null;
  }
  const answer = await response.json();
  if (response.ok) return answer;
  if (answer.location) location.assign(answer.location);
  else say(answer.title ?? words.unknownTitle, answer.message ?? words.unknown);
  return null;
}

/**
 * Confirms the quote, then the payment. Whether it went on; if not, the page says why.
 * @param {Stripe} stripe
 * @param {StripeElements} elements
 * @returns {Promise<boolean>}
 */
async function carryOut(stripe, elements) {
  try {
    const { error: incomplete } = await elements.submit();
    if (incomplete) return refused(incomplete);
    const confirmation = await confirm();
    if (!confirmation) return false;
    const { collect, client_secret: clientSecret } = confirmation;
    const done = form.dataset.done ?? "";
    if (collect === "nothing" || !clientSecret) return leave(done);
    const asked = { elements, clientSecret, confirmParams: { return_url: done } };
    const { error } = await (collect === "setup" ? stripe.confirmSetup(asked) : stripe.confirmPayment(asked));
    // only a refusal comes back here: whatever succeeds goes to return_url
    if (alreadyConfirmed(error)) return leave(done);
    return (await wentOn(true)) || refused(error);
  } catch {
    return (await wentOn(true)) || say(words.unknownTitle, words.unknown);
  }
}

/** @param {string} address */
function leave(address) {
  location.assign(address);
  return true;
}

/**
 * @param {Stripe} stripe
 * @param {StripeElements} elements
 * @param {StripeExpressCheckoutElementConfirmEvent} [wallet] what a wallet's sheet asked for; it stays open until
 *   it hears that nothing was paid
 */
async function pay(stripe, elements, wallet) {
  if (working) return wallet?.paymentFailed({ reason: "fail" });
  setWorking(true);
  problem.hidden = true;
  if (!(await carryOut(stripe, elements))) wallet?.paymentFailed({ reason: "fail" });
}

/** @param {Stripe} stripe */
function mount(stripe) {
  const { mode, amount, currency = "usd", name, email, country, postalCode } = form.dataset;
  const elements = stripe.elements(
    mode === "setup"
      ? { mode: "setup", currency, setupFutureUsage: "off_session", appearance: appearance() }
      : { mode: "subscription", amount: Number(amount), currency, setupFutureUsage: "off_session", appearance: appearance() },
  );
  const express = elements.create("expressCheckout");
  express.on("ready", ({ availablePaymentMethods }) => {
    const element = document.getElementById("express");
    if (element) element.hidden = !availablePaymentMethods;
  });
  express.on("confirm", (event) => void pay(stripe, elements, event));
  express.mount("#express");

  const payment = elements.create("payment", {
    layout: "tabs",
    defaultValues: { billingDetails: { name, email, address: { country, postal_code: postalCode } } },
  });
  payment.on("ready", () => document.getElementById("payment-loading")?.remove());
  payment.on("loaderror", ({ error }) => say(words.unloadedTitle, error.message ?? words.unloaded));
  payment.mount("#payment");

  form.addEventListener("submit", (event) => {
    event.preventDefault();
    void pay(stripe, elements);
  });
  for (const [target, event] of /** @type {[EventTarget, string][]} */ ([
    [document, "portal:theme"],
    [matchMedia("(prefers-color-scheme: dark)"), "change"],
  ])) {
    target.addEventListener(event, () => elements.update({ appearance: appearance() }));
  }
}

// Back from the bank, or from the page after paying: what this page shows may be over
window.addEventListener("pageshow", (event) => {
  if (event.persisted) setWorking(false);
  const [entry] = performance.getEntriesByType("navigation");
  if (event.persisted || (entry instanceof PerformanceNavigationTiming && entry.type !== "navigate")) void wentOn();
});
document.addEventListener("visibilitychange", () => {
  if (document.visibilityState === "visible" && !working) void wentOn();
});

const load = /** @type {{ Stripe?: import("@stripe/stripe-js").StripeConstructor }} */ (window).Stripe;
if (load) mount(load(form.dataset.key ?? "", { locale: /** @type {"auto"} */ (form.dataset.locale ?? "auto") }));
else {
  say(words.unloadedTitle, words.unloaded);
  form.addEventListener("submit", (event) => event.preventDefault());
}
