// @ts-check
/**
 * /billing/payment: saving a new way to pay, and paying an open invoice from a stored one or a new one. What is
 * charged is the invoice's; the page sends only which method is to pay it.
 */

import { appearance } from "./appearance.js";
import { alreadyConfirmed, confirm, follow, form, isWorking, leave, problem, refused, say, setWorking, stripeHere, watch, wentOn, words } from "./paying.js";

/** @typedef {import("@stripe/stripe-js").Stripe} Stripe */
/** @typedef {import("@stripe/stripe-js").StripeElements} StripeElements */

const NEW = "new";
const fresh = /** @type {HTMLElement | null} */ (document.getElementById("new-method"));
const byDefault = /** @type {HTMLInputElement | null} */ (document.getElementById("make_default"));

/** @type {StripeElements | undefined} */
let elements;

/** The stored method that is chosen, or "new". */
function chosen() {
  return String(new FormData(form).get("method") ?? NEW);
}

/** @param {Stripe} stripe */
function mount(stripe) {
  if (elements) return;
  const { mode, amount, currency = "usd", name, email, country, postalCode } = form.dataset;
  const look = { currency, appearance: appearance() };
  if (mode === "setup") elements = stripe.elements({ mode, setupFutureUsage: "off_session", ...look });
  else if (mode === "subscription") elements = stripe.elements({ mode, amount: Number(amount), setupFutureUsage: "off_session", ...look });
  else elements = stripe.elements({ mode: "payment", amount: Number(amount), ...look });
  const payment = elements.create("payment", {
    layout: "tabs",
    defaultValues: { billingDetails: { name, email, address: { country, postal_code: postalCode } } },
  });
  payment.on("ready", () => document.getElementById("payment-loading")?.remove());
  payment.on("loaderror", ({ error }) => say(words.unloadedTitle, error.message ?? words.unloaded));
  payment.mount("#payment");
  follow(elements);
}

/**
 * Whether it went on; if not, the page says why.
 * @param {Stripe} stripe
 * @returns {Promise<boolean>}
 */
async function carryOut(stripe) {
  const isNew = chosen() === NEW;
  if (isNew) {
    const incomplete = (await elements?.submit())?.error;
    if (incomplete) return refused(incomplete);
  }
  const asked = form.dataset.actionId
    ? { action: form.dataset.actionId, make_default: byDefault?.checked ?? false }
    : { method: isNew ? null : chosen() };
  const answer = await confirm(asked);
  if (!answer) {
    setWorking(false);
    return false;
  }
  const done = form.dataset.done ?? "";
  const { collect, client_secret: clientSecret } = answer;
  if (collect === "nothing" || !clientSecret) return leave(done);
  const error = await ask(stripe, collect, clientSecret, done);
  if (!error || alreadyConfirmed(error)) return leave(done);
  return (await wentOn(true)) || refused(error);
}

/**
 * The browser's part: the bank's question, or what was typed in.
 * @param {Stripe} stripe
 * @param {string} collect
 * @param {string} clientSecret
 * @param {string} done
 * @returns {Promise<import("@stripe/stripe-js").StripeError | undefined>}
 */
async function ask(stripe, collect, clientSecret, done) {
  if (collect === "action") return (await stripe.handleNextAction({ clientSecret })).error;
  if (!elements) return undefined;
  const given = { elements, clientSecret, confirmParams: { return_url: done } };
  // only a refusal comes back here: whatever succeeds goes to return_url
  return (await (collect === "setup" ? stripe.confirmSetup(given) : stripe.confirmPayment(given))).error;
}

/** @param {Stripe} stripe */
async function pay(stripe) {
  if (isWorking()) return;
  setWorking(true);
  problem.hidden = true;
  try {
    await carryOut(stripe);
  } catch {
    if (!(await wentOn(true))) say(words.unknownTitle, words.unknown);
  }
}

const stripe = stripeHere();
if (stripe) {
  const here = stripe;
  const show = () => {
    const isNew = chosen() === NEW;
    if (fresh) fresh.hidden = !isNew;
    if (isNew) mount(here);
  };
  form.addEventListener("change", show);
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    void pay(here);
  });
  show();
  watch();
}
