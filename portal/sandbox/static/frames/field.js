import { h } from "./dom.js";
import { WORDS } from "./words.js";

/** @typedef {import('./words.js').Code} Code */

let count = 0;

/**
 * One labelled input with its error beside it.
 *
 * The error of an incomplete value shows when the field is left or the form is submitted; it goes away as soon as
 * the value is right.
 */
export class Field {
  /**
   * @param {string} label
   * @param {(value: string) => Code | null} check the problem of a value, null when it is complete
   * @param {Record<string, any>} attributes of the input
   * @param {{changed?: () => void, format?: (value: string) => string}} [options]
   */
  constructor(label, check, attributes, options = {}) {
    count += 1;
    this.id = `field-${count}`;
    this.check = check;
    this.options = options;
    this.input = h(attributes.choices ? "select" : "input", {
      id: this.id,
      class: "Input",
      "aria-describedby": `${this.id}-error`,
      required: true,
      ...attributes,
      choices: undefined,
      oninput: () => this.typed(),
      onblur: () => this.left(),
    });
    this.message = h("p", { class: "Error", id: `${this.id}-error`, role: "alert" });
    this.label = h("label", { class: "Label", for: this.id }, label);
    this.wrap = h("div", { class: "InputWrap" }, this.input);
    this.element = h("div", { class: "Field" }, this.label, this.wrap, this.message);
    this.shown = false;
  }

  get value() {
    return this.input.value.trim();
  }

  set value(text) {
    this.input.value = text;
    this.show(null);
  }

  /** The problem of the present value. */
  get problem() {
    return this.check(this.value);
  }

  typed() {
    if (this.options.format && this.input instanceof HTMLInputElement) {
      reformat(this.input, this.options.format);
    }
    this.show(this.shown ? this.problem : this.early());
    this.options.changed?.();
  }

  /** A value that can no longer become right is reported while typing. */
  early() {
    const problem = this.problem;
    return problem && !problem.startsWith("incomplete") ? problem : null;
  }

  left() {
    if (this.value) {
      this.show(this.problem);
    }
  }

  /**
   * Show a problem, or none.
   * @param {Code | null} code
   */
  show(code) {
    this.shown = code !== null;
    this.input.classList.toggle("Input--invalid", code !== null);
    this.label.classList.toggle("Label--invalid", code !== null);
    if (code) {
      this.input.setAttribute("aria-invalid", "true");
    } else {
      this.input.removeAttribute("aria-invalid");
    }
    const text = code ? WORDS[code] : "";
    if (this.message.textContent !== text) {
      this.message.textContent = text;
    }
  }

  focus() {
    this.input.focus();
  }
}

/**
 * Apply a format and keep the caret behind the same character.
 * @param {HTMLInputElement} input
 * @param {(value: string) => string} format
 */
function reformat(input, format) {
  const caret = input.selectionStart ?? input.value.length;
  const significant = input.value.slice(0, caret).replace(/\D/g, "").length;
  const atEnd = caret === input.value.length;
  input.value = format(input.value);
  if (atEnd) {
    return;
  }
  let position = 0;
  for (let seen = 0; position < input.value.length && seen < significant; position += 1) {
    seen += /\d/.test(input.value[position]) ? 1 : 0;
  }
  input.setSelectionRange(position, position);
}

/**
 * Show the problems of some fields and go to the first.
 * @param {Field[]} fields
 * @returns {Code | null} the first problem
 */
export function report(fields) {
  for (const field of fields) {
    field.show(field.problem);
  }
  const first = fields.find((field) => field.problem);
  first?.focus();
  return first?.problem ?? null;
}
