// @ts-check
/**
 * What every page that confirms a quote shares: the button, what went wrong in words, and the way on. Confirming
 * sends nothing but the quote's id (it is in the address); what is charged was decided by the server when the
 * quote was made.
 */

import { appearance } from "./appearance.js";

/** @typedef {import("@stripe/stripe-js").StripeElements} StripeElements */
/** @typedef {import("@stripe/stripe-js").StripeError} StripeError */
/** @typedef {{ collect: "payment" | "setup" | "action" | "nothing", client_secret: string | null }} Confirmation */

/** States in which the purchase went on: paid, or on its way. */
const WENT_ON = new Set(["processing", "confirming", "active", "trialing", "done", "planned"]);
/** States in which this quote is over, and its own address says why. */
const OVER = new Set(["expired", "abandoned", "failed"]);

export const form = /** @type {HTMLFormElement} */ (document.getElementById("pay"));
const button = /** @type {HTMLButtonElement} */ (document.getElementById("pay-button"));
export const problem = /** @type {HTMLElement} */ (document.getElementById("pay-problem"));
export const words = /** @type {HTMLElement} */ (document.getElementById("pay-words")).dataset;
const label = button.textContent;

let working = false;

export function isWorking() {
  return working;
}

/** @param {boolean} now */
export function setWorking(now) {
  working = now;
  button.setAttribute("aria-disabled", String(now));
  button.textContent = now ? (button.dataset.working ?? label) : label;
}

/**
 * Says what went wrong; false, because the purchase did not go on.
 * @param {string | undefined} title
 * @param {string | undefined} body
 */
export function say(title, body) {
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
export function alreadyConfirmed(error) {
  const status = (error.payment_intent ?? error.setup_intent)?.status;
  return status === "succeeded" || status === "processing" || /_unexpected_state$/.test(error.code ?? "");
}

/** @param {StripeError} error */
export function refused(error) {
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
export async function wentOn(askStripe = false) {
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

/**
 * @param {Record<string, unknown>} [body] what else the page has to say
 * @returns {Promise<Confirmation | null>}
 */
export async function confirm(body = {}) {
  const response = await fetch(form.action, {
    method: "POST",
    headers: { Accept: "application/json", "Content-Type": "application/json", "X-CSRFToken": form.dataset.token ?? "" },
    body: JSON.stringify(body),
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

/** @param {string} address */
export function leave(address) {
  location.assign(address);
  return true;
}

/**
 * Has what Stripe draws follow the page's colours.
 * @param {StripeElements} elements
 */
export function follow(elements) {
  for (const [target, event] of /** @type {[EventTarget, string][]} */ ([
    [document, "portal:theme"],
    [matchMedia("(prefers-color-scheme: dark)"), "change"],
  ])) {
    target.addEventListener(event, () => elements.update({ appearance: appearance() }));
  }
}

/** Looks again when the person comes back, from the bank or from the page after paying: this one may be over. */
export function watch() {
  window.addEventListener("pageshow", (event) => {
    if (event.persisted) setWorking(false);
    const [entry] = performance.getEntriesByType("navigation");
    if (event.persisted || (entry instanceof PerformanceNavigationTiming && entry.type !== "navigate")) void wentOn();
  });
  document.addEventListener("visibilitychange", () => {
    if (document.visibilityState === "visible" && !working) void wentOn();
  });
}

/** Stripe.js, in the page's language; nothing when it did not load, and then the page says so. */
export function stripeHere() {
  const load = /** @type {{ Stripe?: import("@stripe/stripe-js").StripeConstructor }} */ (window).Stripe;
  if (load) return load(form.dataset.key ?? "", { locale: /** @type {"auto"} */ (form.dataset.locale ?? "auto") });
  say(words.unloadedTitle, words.unloaded);
  form.addEventListener("submit", (event) => event.preventDefault());
  return undefined;
}
