import { AddressElement } from "./address_element.js";
import { intentOf } from "./api.js";
import { Element } from "./element.js";
import { require } from "./errors.js";
import { ExpressCheckoutElement } from "./express_element.js";

/** @typedef {import('./element.js').ElementType} ElementType */

const TYPES = ["payment", "linkAuthentication", "expressCheckout", "address"];
const MODES = ["payment", "setup", "subscription"];
const COMMON_OPTIONS = ["fonts", "locale", "appearance", "loader", "syncAddressCheckbox"];
const MODE_OPTIONS = [
  "mode",
  "amount",
  "currency",
  "setupFutureUsage",
  "setup_future_usage",
  "captureMethod",
  "capture_method",
  "allowedPaymentMethodTypes",
  "excludedPaymentMethodTypes",
];
const UPDATABLE = [
  "mode",
  "amount",
  "currency",
  "setupFutureUsage",
  "captureMethod",
  "appearance",
  "locale",
  "fonts",
  "allowedPaymentMethodTypes",
  "excludedPaymentMethodTypes",
];
const DATA_FREE = ["expressCheckout", "linkAuthentication", "address"];

/** @param {Record<string, any>} options */
function checkOptions(options) {
  require(!(
    "paymentMethodTypes" in options || "payment_method_types" in options
  ), "Invalid value for elements(): paymentMethodTypes can't be used from version 2026-09-30.endive on. " +
    "Use allowedPaymentMethodTypes or excludedPaymentMethodTypes instead.");
  const deferred = options.mode !== undefined;
  const allowed = deferred
    ? [...COMMON_OPTIONS, ...MODE_OPTIONS]
    : [...COMMON_OPTIONS, "clientSecret", "currency"];
  for (const name of Object.keys(options)) {
    require(allowed.includes(name) ||
      options[name] ===
        undefined, `Invalid elements() parameter: ${name} is not an accepted parameter, or not supported by this sandbox.`);
  }
  if (deferred) {
    checkMode(options);
  } else {
    require(options.clientSecret === undefined ||
      intentOf(
        String(options.clientSecret),
      ), `Invalid value for elements(): clientSecret should be a client secret of the form \${id}_secret_\${secret}. You specified: ${options.clientSecret}.`);
  }
}

/** @param {Record<string, any>} options */
function checkMode(options) {
  require(MODES.includes(
    options.mode,
  ), `Invalid value for elements(): mode should be one of the following strings: ${MODES.join(", ")}. You specified: ${options.mode}.`);
  require(options.mode === "setup" ||
    (typeof options.currency === "string" &&
      /^[a-z]{3}$/.test(
        options.currency,
      )), "Invalid value for elements(): currency should be a three-letter ISO currency code in lower case, such as usd.");
  require(options.mode === "setup" ||
    (Number.isInteger(options.amount) &&
      options.amount >=
        0), `Invalid value for elements(): amount should be a whole number of the currency's smallest unit. You specified: ${options.amount}.`);
  require(options.mode !== "payment" ||
    options.amount > 0, "Invalid value for elements(): amount must be greater than 0 when mode is payment.");
}

/** A group of elements that pay together: `stripe.elements(options)`. */
export class Group {
  /**
   * @param {string} key
   * @param {Record<string, any>} options
   */
  constructor(key, options = {}) {
    checkOptions(options);
    this.key = key;
    this.options = { ...options };
    /** @type {Element[]} */
    this.elements = [];
    this.submitted = false;
    /** Which wallet's confirm event is being handled, if any. @type {string | null} */
    this.express = null;
    /** Names this group's sign-in to Link. */
    this.session = crypto.randomUUID();
    /** @type {(() => void)[]} */
    this.updateHandlers = [];
  }

  get deferred() {
    return this.options.mode !== undefined;
  }

  /** What every frame of the group needs to know. */
  frameOptions() {
    const { fonts: _fonts, ...elements } = this.options;
    return { key: this.key, session: this.session, elements, pageOrigin: window.location.origin };
  }

  colorScheme() {
    return this.options.appearance?.theme === "night" ? "dark" : "light";
  }

  /**
   * @overload
   * @param {'address'} type
   * @param {import('@stripe/stripe-js').StripeAddressElementOptions} options
   * @returns {AddressElement}
   */
  /**
   * @overload
   * @param {ElementType} type
   * @param {Record<string, any>} [options]
   * @returns {Element}
   */
  /**
   * @param {ElementType} type
   * @param {Record<string, any>} [options]
   */
  create(type, options = {}) {
    require(TYPES.includes(
      type,
    ), `A valid Element name must be provided. Valid Elements are:\n  ${TYPES.join(", ")}; you passed: ${type}.`);
    require(!this.getElement(
      type,
    ), `Can only create one Element of type ${type} through this Elements group.`);
    require(this.deferred ||
      this.options.clientSecret ||
      DATA_FREE.includes(
        type,
      ), "In order to create a payment element, you must pass a clientSecret or mode when creating the Elements group.\n\n" +
      'e.g. stripe.elements({clientSecret: "{{CLIENT_SECRET}}"})');
    const element = this.make(type, options);
    this.elements.push(element);
    return element;
  }

  /**
   * @param {ElementType} type
   * @param {Record<string, any>} options
   */
  make(type, options) {
    if (type === "address") {
      return new AddressElement(this, options);
    }
    return type === "expressCheckout"
      ? new ExpressCheckoutElement(this, options)
      : new Element(type, this, options);
  }

  /**
   * @overload
   * @param {'address'} type
   * @param {object} [options]
   * @returns {AddressElement | null}
   */
  /**
   * @overload
   * @param {ElementType} type
   * @returns {Element | null}
   */
  /** @param {ElementType} type */
  getElement(type) {
    return this.elements.find((element) => element.type === type) ?? null;
  }

  /** @param {Element} element */
  forget(element) {
    this.elements = this.elements.filter((known) => known !== element);
  }

  /**
   * Change the options; resolves when every frame shows them.
   * @param {Record<string, any>} options
   */
  async update(options) {
    for (const name of Object.keys(options)) {
      require(UPDATABLE.includes(
        name,
      ), `Invalid elements.update() parameter: ${name} is not an accepted parameter.`);
    }
    require(this.deferred ||
      !("amount" in options), "elements.update(): amount can only be given to Elements made with a mode.");
    const merged = { ...this.options, ...options };
    checkOptions(merged);
    this.options = merged;
    this.submitted = false;
    await Promise.all(
      this.elements.map(async (element) => {
        const frame = element.mounted();
        if (frame) {
          frame.iframe.style.colorScheme = this.colorScheme();
          await frame.call("elements", this.frameOptions().elements);
        }
      }),
    );
    for (const handler of this.updateHandlers) {
      handler();
    }
  }

  /**
   * @param {'update-end'} name
   * @param {() => void} handler
   */
  on(name, handler) {
    require(name === "update-end", `Invalid event name for elements.on(): ${name}.`);
    this.updateHandlers.push(handler);
  }

  /**
   * Read the intent again, after the server changed it.
   * @returns {Promise<{error?: {message: string, status?: string}}>}
   */
  async fetchUpdates() {
    require(this.options.clientSecret, "elements.fetchUpdates() needs Elements made with a clientSecret.");
    const frame = this.getElement("payment")?.mounted();
    return frame ? frame.call("fetchUpdates") : {};
  }

  /**
   * Check what was typed and show what is missing beside its field.
   * @returns {Promise<{error: import('@stripe/stripe-js').StripeError, selectedPaymentMethod?: undefined} | {selectedPaymentMethod: string, error?: undefined}>}
   */
  async submit() {
    if (this.express) {
      this.submitted = true;
      return { selectedPaymentMethod: this.express };
    }
    const payment = this.getElement("payment")?.mounted();
    require(payment, "elements should have a mounted Payment Element or Express Checkout Element.");
    for (const type of /** @type {ElementType[]} */ (["linkAuthentication", "address"])) {
      const result = await this.getElement(type)?.mounted()?.call("submit");
      if (result?.error) {
        return result;
      }
    }
    const result = await payment.call("submit");
    this.submitted = !result.error;
    return result;
  }

  /**
   * An element said something that others of the group have to know.
   * @param {Element} from
   * @param {string} name
   * @param {any} payload
   */
  heard(from, name, payload) {
    if (from.type === "payment" && name === "focus") {
      // Whoever goes back to the form has given the wallet up.
      this.express = null;
    }
    if (name === "change") {
      this.submitted = false;
    }
    if (name === "change" && from.type === "linkAuthentication") {
      this.getElement("payment")?.tell("email", payload);
    }
    if (name === "change" && from.type === "address" && from.options.mode !== "shipping") {
      this.getElement("payment")?.tell("address", payload);
    }
  }
}
