import { openDialog } from "./dialog.js";
import { Element } from "./element.js";

const ANSWER_WITHIN_MS = 1000;

/** The wallets that have a sheet of their own; Link signs in instead. @type {Record<string, string>} */
const WALLET_NAMES = { apple_pay: "Apple Pay", google_pay: "Google Pay" };

/** Buttons of wallets. A wallet is paid with inside its `confirm` event. */
export class ExpressCheckoutElement extends Element {
  /**
   * @param {import('./group.js').Group} group
   * @param {Record<string, any>} options
   */
  constructor(group, options) {
    super("expressCheckout", group, options);
    this.busy = false;
  }

  /** @param {import('./frame.js').Frame} frame */
  listen(frame) {
    super.listen(frame);
    frame.events.add("pressed", ({ expressPaymentType }) => void this.open(expressPaymentType));
  }

  /** @param {import('@stripe/stripe-js').ExpressPaymentType} expressPaymentType */
  async open(expressPaymentType) {
    if (this.busy) {
      return;
    }
    this.busy = true;
    try {
      const details = await this.ask(expressPaymentType);
      if (details) {
        await this.pay(expressPaymentType, details);
      }
    } finally {
      this.busy = false;
    }
  }

  /**
   * Tell the page about the click; it may refuse, or say what the dialog shall show, within a second.
   * @param {import('@stripe/stripe-js').ExpressPaymentType} expressPaymentType
   * @returns {Promise<Record<string, any> | null>}
   */
  ask(expressPaymentType) {
    return new Promise((resolve) => {
      if (!this.emitter.has("click")) {
        resolve({});
        return;
      }
      setTimeout(() => resolve(null), ANSWER_WITHIN_MS);
      /** @type {import('@stripe/stripe-js').StripeExpressCheckoutElementClickEvent} */
      const event = {
        elementType: "expressCheckout",
        expressPaymentType,
        resolve: (details) => resolve(details ?? {}),
        reject: () => resolve(null),
      };
      this.emitter.emit("click", event);
    });
  }

  /**
   * @param {import('@stripe/stripe-js').ExpressPaymentType} expressPaymentType
   * @param {Record<string, any>} details
   */
  async pay(expressPaymentType, details) {
    const name = WALLET_NAMES[expressPaymentType];
    const { result } = openDialog(name ? "wallet" : "link", `Pay with ${name ?? "Link"}`, {
      ...this.group.frameOptions(),
      appearance: this.group.options.appearance,
      options: { ...this.options, ...details },
      wallet: expressPaymentType,
      name,
    });
    const signedIn = await result;
    if (!signedIn) {
      this.emitter.emit("cancel", { elementType: "expressCheckout" });
      return;
    }
    this.group.express = expressPaymentType;
    /** @type {import('@stripe/stripe-js').StripeExpressCheckoutElementConfirmEvent & {elementType: 'expressCheckout'}} */
    const event = {
      elementType: "expressCheckout",
      expressPaymentType,
      billingDetails: signedIn.billingDetails,
      paymentFailed: (payload) => this.failed(payload),
    };
    this.emitter.emit("confirm", event);
  }

  /**
   * The page could not take the payment: back to the button, with the reason.
   * @param {{message?: string} | undefined} payload
   */
  failed(payload) {
    this.group.express = null;
    this.tell("failed", { message: payload?.message });
  }
}
