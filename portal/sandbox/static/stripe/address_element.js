import { Element } from "./element.js";
import { require } from "./errors.js";

/** The billing or shipping address. */
export class AddressElement extends Element {
  /**
   * @param {import('./group.js').Group} group
   * @param {Record<string, any>} options
   */
  constructor(group, options) {
    require(["billing", "shipping"].includes(
      options.mode,
    ), `Invalid value for elements.create('address'): mode should be either 'billing' or 'shipping'. You specified: ${options.mode}.`);
    super("address", group, options);
  }

  /**
   * What was typed, checked.
   * @returns {Promise<Pick<import('@stripe/stripe-js').StripeAddressElementChangeEvent, 'complete' | 'isNewAddress' | 'value'>>}
   */
  async getValue() {
    const frame = this.mounted();
    require(frame, "You must mount the Address Element before calling getValue().");
    return frame.call("getValue");
  }
}
