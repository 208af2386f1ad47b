import { h, picture } from "./dom.js";

/** A method that is authorised elsewhere: nothing to fill in here. */
export class WalletForm {
  /**
   * @param {string} type as the API names it
   * @param {string} name as people know it
   */
  constructor(type, name) {
    this.type = type;
    this.complete = true;
    this.empty = false;
    this.element = h(
      "div",
      { class: "Fields" },
      h(
        "p",
        { class: "Notice" },
        picture("redirect", "Icon Icon--line"),
        h(
          "span",
          {},
          `After you submit, you will go to ${name} to authorise the payment, and come back here.`,
        ),
      ),
    );
  }

  report() {
    return null;
  }

  focus() {
    // There is nothing to fill in.
  }

  clear() {
    // There is nothing to empty.
  }

  data() {
    return { type: this.type, [this.type]: {} };
  }

  billingDetails() {
    return {};
  }
}
