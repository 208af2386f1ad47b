import { h, picture } from "./dom.js";

const NAMES = { card: "Card", link: "Link", us_bank_account: "US bank account", amazon_pay: "Amazon Pay" };
/** @typedef {keyof typeof NAMES} Method */
/** @type {Record<Method, string>} */
const SANDBOX_HINTS = {
  card: "Test card 4242 4242 4242 4242, any future date, any CVC.",
  link: "Any six digits are the right code.",
  us_bank_account: "Test account: routing number 110000000, account number 000123456789.",
  amazon_pay: "",
};

/**
 * What people call a method; null for one that has no form here.
 * @param {string} type
 */
export function nameOf(type) {
  return NAMES[/** @type {Method} */ (type)] ?? null;
}

/** The methods below each other, one of them open. */
export class MethodList {
  /** @param {(type: string) => void} chosen */
  constructor(chosen) {
    this.chosen = chosen;
    this.root = /** @type {HTMLElement} */ (document.getElementById("element"));
    this.note = h("p", { class: "SandboxNote" });
    /** @type {{type: string, item: HTMLElement, radio: HTMLInputElement, panel: HTMLElement}[]} */
    this.entries = [];
  }

  /**
   * @param {{type: string, content: HTMLElement[]}[]} methods
   * @param {boolean} readOnly
   */
  draw(methods, readOnly) {
    this.entries = methods.map(({ type, content }) =>
      this.entry(type, content, readOnly, methods.length > 1),
    );
    const legend = h("legend", { class: "Unseen" }, "Payment method");
    const items = this.entries.map(({ item }) => item);
    this.root.replaceChildren(h("fieldset", { class: "Accordion" }, legend, ...items, this.note));
  }

  /**
   * @param {string} type
   * @param {HTMLElement[]} content
   * @param {boolean} readOnly
   * @param {boolean} several
   */
  entry(type, content, readOnly, several) {
    const name = nameOf(type);
    const id = `method-${type}`;
    const radio = h("input", {
      type: "radio",
      name: "method",
      value: type,
      id,
      class: "RadioIcon",
      disabled: readOnly,
      onchange: () => this.chosen(type),
    });
    const icon = picture(type, "Icon Icon--method");
    const head = h("label", { class: "AccordionItemHead", for: id }, radio, icon, h("span", {}, name));
    head.hidden = !several;
    const panel = h("div", { class: "AccordionItemPanel", role: "group", "aria-label": name }, ...content);
    const item = h("div", { class: "AccordionItem Block", "data-type": type }, head);
    return { type, item, radio, panel };
  }

  /**
   * Only the open method's fields are in the document; what was typed into the others is kept.
   * @param {string | null} chosen
   */
  open(chosen) {
    for (const { type, item, radio, panel } of this.entries) {
      const open = type === chosen;
      item.classList.toggle("AccordionItem--selected", open);
      radio.checked = open;
      if (open) {
        item.append(panel);
      } else {
        panel.remove();
      }
    }
    const hint = SANDBOX_HINTS[/** @type {Method} */ (chosen)];
    this.note.textContent = ["Sandbox – no real money.", hint].filter(Boolean).join(" ");
  }
}
