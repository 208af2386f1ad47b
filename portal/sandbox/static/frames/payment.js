import { get, link, post } from "./api.js";
import { applyAppearance } from "./appearance.js";
import { BankForm } from "./bank_form.js";
import { hiddenParts, merge, missingPart } from "./billing_details.js";
import { CardForm } from "./card_form.js";
import { h } from "./dom.js";
import { answer, tell } from "./line.js";
import { LinkForm } from "./link_form.js";
import { LinkSignup } from "./link_signup.js";
import { MethodList, nameOf } from "./method_list.js";
import { WalletForm } from "./wallet_form.js";
import { problem } from "./words.js";

/** @typedef {CardForm | BankForm | WalletForm | LinkForm} Form */

/** The Payment Element: a list of methods, one of them open. */
class PaymentElement {
  constructor() {
    /** @type {Record<string, any>} */
    this.setup = {};
    /** @type {Record<string, any>} */
    this.options = {};
    /** @type {Record<string, Form>} */
    this.forms = {};
    /** @type {string[]} */
    this.types = [];
    /** @type {string | null} */
    this.selected = null;
    this.email = "";
    /** @type {Record<string, any>} */
    this.address = {};
    /** @type {LinkSignup | null} */
    this.signup = null;
    this.clockOffset = 0;
    this.list = new MethodList((type) => this.select(type));
  }

  today() {
    return new Date(Date.now() + this.clockOffset);
  }

  /** @param {Record<string, any>} setup */
  async init(setup) {
    this.setup = setup;
    this.options = setup.options;
    applyAppearance(setup.elements.appearance);
    const details = this.options.defaultValues?.billingDetails ?? {};
    this.email = details.email ?? "";
    this.address = details.address ?? {};
    await this.load();
    tell("ready");
    const paymentMethods = Object.fromEntries(this.types.map((type) => [type, { available: true }]));
    tell("availablepaymentmethodschange", { paymentMethods });
    await this.openLink();
  }

  /** Ask which methods there are, and draw them. */
  async load() {
    const { elements, key } = this.setup;
    const config = await get("/elements/config", {
      currency: elements.currency,
      mode: elements.mode,
      client_secret: elements.clientSecret,
      key,
    });
    if (config.error) {
      tell("loaderror", { error: config.error });
      return;
    }
    this.clockOffset = config.now * 1000 - Date.now();
    this.config = config;
    this.types = this.offered(config.payment_method_types);
    this.draw();
  }

  /**
   * @param {string[]} types
   */
  offered(types) {
    const { allowedPaymentMethodTypes: allowed, excludedPaymentMethodTypes: excluded = [] } =
      this.setup.elements;
    const order = this.options.paymentMethodOrder ?? [];
    const shown = types.filter(
      (type) =>
        nameOf(type) !== null &&
        (!allowed || allowed.includes(type)) &&
        !excluded.includes(type) &&
        !(type === "link" && this.options.wallets?.link === "never"),
    );
    const rank = (/** @type {string} */ type) => (order.includes(type) ? order.indexOf(type) : order.length);
    return [...shown].sort((one, other) => rank(one) - rank(other));
  }

  /** @param {string} type @returns {Form} */
  form(type) {
    const changed = () => this.changed();
    if (type === "card") {
      return new CardForm({ today: () => this.today(), changed, address: this.address, hide: this.hidden() });
    }
    if (type === "us_bank_account") {
      const { name = "" } = this.options.defaultValues?.billingDetails ?? {};
      return new BankForm({ changed, name, email: this.email, business: this.business });
    }
    if (type === "link") {
      return new LinkForm({
        session: this.setup.session,
        email: this.email,
        changed,
        signedIn: () => this.signup?.element.toggleAttribute("hidden", this.linked !== null),
      });
    }
    return new WalletForm(type, nameOf(type) ?? type);
  }

  get business() {
    return this.options.business?.name ?? this.config?.business ?? "this business";
  }

  get linked() {
    return this.forms.link instanceof LinkForm ? this.forms.link.account : null;
  }

  hidden() {
    return hiddenParts(this.options.fields?.billingDetails);
  }

  draw() {
    this.forms = Object.fromEntries(this.types.map((type) => [type, this.form(type)]));
    const layout = this.options.layout;
    const collapsed = typeof layout === "object" && layout.defaultCollapsed === true;
    const extras = this.types.includes("card") ? this.cardExtras() : [];
    const panels = this.types.map((type) => ({
      type,
      content: [this.forms[type].element, ...(type === "card" ? extras : [])],
    }));
    this.list.draw(panels, this.options.readOnly === true);
    this.selected = collapsed ? null : (this.types[0] ?? null);
    this.list.open(this.selected);
  }

  cardExtras() {
    this.signup = null;
    const extras = [];
    if (this.types.includes("link")) {
      this.signup = new LinkSignup({
        email: this.email,
        changed: () => this.changed(),
        known: (email) => this.offerLink(email),
      });
      extras.push(this.signup.element);
    }
    const { mode, setupFutureUsage, setup_future_usage: spelled } = this.setup.elements;
    const saves =
      mode === "subscription" || mode === "setup" || setupFutureUsage || spelled || this.config?.saves;
    if (saves && this.options.terms?.card !== "never") {
      extras.push(
        h(
          "p",
          { class: "TermsText" },
          `By providing your card information, you allow ${this.business} to charge your card for future payments in accordance with their terms.`,
        ),
      );
    }
    return extras;
  }

  /** @param {string} type */
  select(type) {
    this.selected = type;
    this.list.open(this.selected);
    this.changed();
  }

  /** Somebody whom Link knows goes on with Link: signed in, or asked for the code. */
  async openLink() {
    const form = this.forms.link;
    if (!(form instanceof LinkForm)) {
      return;
    }
    const { account } = await link("session", { session: this.setup.session });
    if (account) {
      form.enter(account);
      this.select("link");
    } else if (this.email && !form.email.problem && (await form.lookUp({ focus: false }))) {
      this.select("link");
    }
  }

  /** @param {string} email */
  offerLink(email) {
    const form = this.forms.link;
    if (form instanceof LinkForm) {
      this.select("link");
      form.prefill(email);
      void form.lookUp();
    }
  }

  /** The Link Authentication Element knows the address. @param {{value: {email: string}, complete: boolean}} event */
  async takeEmail({ value, complete }) {
    this.email = value.email;
    this.signup?.prefill(value.email);
    if (complete && this.forms.link instanceof LinkForm && !this.linked) {
      this.forms.link.prefill(value.email);
      await this.openLink();
    }
  }

  get current() {
    return this.selected ? this.forms[this.selected] : null;
  }

  changed() {
    const form = this.current;
    const card = form instanceof CardForm ? form : null;
    const incomplete = card && this.signup?.fields.some((field) => field.problem);
    /** @type {Omit<import('@stripe/stripe-js').StripePaymentElementChangeEvent, 'elementType'>} */
    const event = {
      empty: form ? form.empty : true,
      complete: form ? form.complete && !incomplete : false,
      collapsed: this.selected === null,
      value: { type: this.selected ?? "" },
    };
    tell("change", event);
    if (card) {
      const brands = card.brand === "unknown" ? null : [card.brand];
      /** @type {Omit<import('@stripe/stripe-js').StripePaymentElementCardDetailsChangeEvent, 'elementType'>} */
      const details = { loading: false, details: { brands, funding: null } };
      tell("carddetailschange", details);
    }
  }

  submit() {
    const form = this.current;
    if (!form) {
      return { error: problem("incomplete_method") };
    }
    const code = form.report() ?? (form instanceof CardForm ? this.signup?.report() : null);
    return code ? { error: problem(code) } : { selectedPaymentMethod: this.selected };
  }

  /**
   * Confirm an intent with what was typed; answers with the intent or the error, as the API gives them.
   * @param {{path: string, common: Record<string, any>, data: Record<string, any>}} call
   */
  async confirm({ path, common, data }) {
    const checked = this.submit();
    const form = this.current;
    if (checked.error || !form) {
      return { error: checked.error };
    }
    const missing = missingPart(this.hidden(), data);
    if (missing) {
      return { integration: missing };
    }
    if (form instanceof LinkForm) {
      return post(path, { ...common, key: this.setup.key, link: this.setup.session });
    }
    const details = merge(this.knownDetails(), data.billing_details ?? {}, form.billingDetails());
    return post(path, {
      ...common,
      key: this.setup.key,
      payment_method_data: {
        ...form.data(),
        billing_details: details,
        allow_redisplay: data.allow_redisplay,
        metadata: data.metadata,
      },
      link_signup: form instanceof CardForm ? this.signup?.data() : undefined,
    });
  }

  knownDetails() {
    const { name, email, phone, address } = this.options.defaultValues?.billingDetails ?? {};
    return { name, email: email ?? this.email, phone, address: { ...address, ...this.address } };
  }

  /** @param {Record<string, any>} elements */
  async updateElements(elements) {
    const before = this.setup.elements;
    this.setup = { ...this.setup, elements };
    applyAppearance(elements.appearance);
    const redraw = [
      "mode",
      "currency",
      "setupFutureUsage",
      "allowedPaymentMethodTypes",
      "excludedPaymentMethodTypes",
    ].some((name) => JSON.stringify(before[name]) !== JSON.stringify(elements[name]));
    if (redraw) {
      await this.load();
    }
  }

  /** @param {Record<string, any>} options */
  update(options) {
    this.options = { ...this.options, ...options };
    const address = options.defaultValues?.billingDetails?.address;
    if (address && this.forms.card instanceof CardForm) {
      this.address = address;
      this.forms.card.prefill(address);
    }
    if (
      options.paymentMethodOrder ||
      options.business ||
      options.fields ||
      options.terms ||
      "readOnly" in options
    ) {
      this.types = this.offered(this.types);
      this.draw();
    }
  }

  /** @param {{value: {address: Record<string, string | null>}, complete: boolean}} event */
  takeAddress({ value }) {
    this.address = Object.fromEntries(Object.entries(value.address).filter(([, part]) => part));
    if (this.forms.card instanceof CardForm) {
      this.forms.card.prefill(this.address);
    }
  }

  collapse() {
    this.selected = null;
    this.list.open(this.selected);
    this.changed();
  }
}

const element = new PaymentElement();
answer({
  init: (setup) => element.init(setup),
  elements: (elements) => element.updateElements(elements),
  update: (options) => element.update(options),
  email: (event) => element.takeEmail(event),
  address: (event) => element.takeAddress(event),
  submit: () => element.submit(),
  confirm: (call) => element.confirm(call),
  fetchUpdates: async () => {
    await element.load();
    return {};
  },
  focus: () => element.current?.focus(),
  blur: () => document.activeElement instanceof HTMLElement && document.activeElement.blur(),
  clear: () => {
    for (const form of Object.values(element.forms)) {
      form.clear();
    }
    element.changed();
  },
  collapse: () => element.collapse(),
});
