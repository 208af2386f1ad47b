import { link } from "./api.js";
import { checkEmail } from "./bank_form.js";
import { codeForm } from "./code_form.js";
import { h, picture } from "./dom.js";
import { Field } from "./field.js";
import { problem } from "./words.js";

export const BRAND_NAMES = {
  visa: "Visa",
  mastercard: "Mastercard",
  amex: "American Express",
  discover: "Discover",
  diners: "Diners Club",
  jcb: "JCB",
  unionpay: "UnionPay",
};

/** @typedef {{email: string, card: {brand: keyof typeof BRAND_NAMES, last4: string, exp_month: number, exp_year: number}, billing_details: any}} Account */

/**
 * A remembered card in words.
 * @param {Account} account
 */
export function savedCard({ card }) {
  const expiry = `${String(card.exp_month).padStart(2, "0")} / ${String(card.exp_year).slice(2)}`;
  return h(
    "p",
    { class: "SavedCard" },
    picture(card.brand),
    h("span", {}, `${BRAND_NAMES[card.brand] ?? card.brand} •••• ${card.last4}`),
    h("span", { class: "Hint" }, `expires ${expiry}`),
  );
}

/** Link inside the Payment Element: e-mail, one-time code, the remembered card. */
export class LinkForm {
  /**
   * @param {{session: string, email: string, changed: () => void, signedIn: (account: Account | null) => void}} options
   */
  constructor({ session, email, changed, signedIn }) {
    this.session = session;
    this.changed = changed;
    this.signedIn = signedIn;
    /** @type {Account | null} */
    this.account = null;
    this.email = new Field(
      "Email",
      checkEmail,
      { type: "email", autocomplete: "email", name: "link-email", placeholder: "you@example.com" },
      { changed },
    );
    this.email.value = email;
    this.notice = h("p", { class: "Hint", role: "status" });
    this.element = h("div", { class: "LinkForm" });
    this.askEmail();
  }

  get complete() {
    return this.account !== null;
  }

  get empty() {
    return !this.account && !this.email.value;
  }

  /** The address as the page or another element knows it. @param {string} email */
  prefill(email) {
    if (!this.account && email && email !== this.email.value) {
      this.email.value = email;
      this.askEmail();
    }
  }

  askEmail() {
    this.notice.textContent = "";
    this.email.input.onkeydown = (event) => {
      if (event.key === "Enter") {
        event.preventDefault();
        void this.lookUp();
      }
    };
    this.element.replaceChildren(
      h(
        "div",
        { class: "Fields" },
        this.email.element,
        this.notice,
        h(
          "div",
          { class: "Actions" },
          h(
            "button",
            { type: "button", class: "Button", onclick: () => void this.lookUp() },
            "Continue with Link",
          ),
        ),
      ),
    );
  }

  /** Whether the address has an account; then ask for the code. @param {{focus?: boolean}} [options] */
  async lookUp({ focus = true } = {}) {
    const wrong = this.email.problem;
    if (wrong) {
      this.email.show(wrong);
      return false;
    }
    const answer = await link("lookup", { email: this.email.value });
    if (answer.exists) {
      this.askCode(focus);
      return true;
    }
    this.notice.textContent = answer.error
      ? answer.error.message
      : "There is no Link account for this address yet. Pay by card and tick “Save my information” to open one.";
    return false;
  }

  /** @param {boolean} focus */
  askCode(focus) {
    const form = codeForm({
      session: this.session,
      email: this.email.value,
      done: (account) => this.enter(account, { focus: true }),
      other: () => this.askEmail(),
      otherWords: "Use another email",
    });
    this.element.replaceChildren(form.element);
    if (focus) {
      form.focus();
    }
  }

  /**
   * Signed in: show the remembered card.
   * @param {Account} account
   * @param {{focus?: boolean}} [options]
   */
  enter(account, { focus = false } = {}) {
    this.account = account;
    this.email.value = account.email;
    const leave = h(
      "button",
      { type: "button", class: "TextButton", onclick: () => void this.leave() },
      "Log out",
    );
    const signedIn = h(
      "div",
      { class: "Fields", tabindex: -1 },
      h("p", { class: "Hint" }, `Signed in to Link as ${account.email}. `, leave),
      savedCard(account),
    );
    this.element.replaceChildren(signedIn);
    this.signedIn(account);
    this.changed();
    if (focus) {
      signedIn.focus();
    }
  }

  async leave() {
    await link("logout", { session: this.session });
    this.account = null;
    this.askEmail();
    this.signedIn(null);
    this.changed();
    this.focus();
  }

  report() {
    if (this.account) {
      return null;
    }
    const code = this.email.problem;
    if (code) {
      this.email.show(code);
    } else {
      this.notice.textContent = problem("incomplete_link").message;
    }
    this.focus();
    return code ?? "incomplete_link";
  }

  focus() {
    this.element.querySelector("input")?.focus();
  }

  clear() {
    if (!this.account) {
      this.email.value = "";
      this.askEmail();
    }
  }
}
