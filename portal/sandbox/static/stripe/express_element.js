import {openDialog} from './dialog.js';
import {Element} from './element.js';

const ANSWER_WITHIN_MS = 1000;

/** Buttons of wallets; here Link's. A wallet is paid with inside its `confirm` event. */
export class ExpressCheckoutElement extends Element {
  /**
   * @param {import('./group.js').Group} group
   * @param {Record<string, any>} options
   */
  constructor(group, options) {
    super('expressCheckout', group, options);
    this.busy = false;
  }

  /** @param {import('./frame.js').Frame} frame */
  listen(frame) {
    super.listen(frame);
    frame.events.add('pressed', ({expressPaymentType}) => void this.open(expressPaymentType));
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
      if (!this.emitter.has('click')) {
        resolve({});
        return;
      }
      setTimeout(() => resolve(null), ANSWER_WITHIN_MS);
      this.emitter.emit('click', {
        elementType: 'expressCheckout',
        expressPaymentType,
        resolve: (/** @type {Record<string, any> | undefined} */ details) => resolve(details ?? {}),
        reject: () => resolve(null),
      });
    });
  }

  /**
   * @param {import('@stripe/stripe-js').ExpressPaymentType} expressPaymentType
   * @param {Record<string, any>} details
   */
  async pay(expressPaymentType, details) {
    const {result} = openDialog('link', 'Pay with Link', {
      ...this.group.frameOptions(),
      options: {...this.options, ...details},
    });
    const signedIn = await result;
    if (!signedIn) {
      this.emitter.emit('cancel', {elementType: 'expressCheckout'});
      return;
    }
    this.group.express = expressPaymentType;
    this.emitter.emit('confirm', {
      elementType: 'expressCheckout',
      expressPaymentType,
      billingDetails: signedIn.billingDetails,
      paymentFailed: (/** @type {{message?: string} | undefined} */ payload) => this.failed(payload),
    });
  }

  /**
   * The page could not take the payment: back to the button, with the reason.
   * @param {{message?: string} | undefined} payload
   */
  failed(payload) {
    this.group.express = null;
    this.tell('failed', {message: payload?.message});
  }
}
