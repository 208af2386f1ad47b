/** @typedef {string | Node | null | undefined | false} Child */

/**
 * An element with attributes and children; `on…` attributes are listeners, true and false set or leave out.
 * @template {keyof HTMLElementTagNameMap} T
 * @param {T} tag
 * @param {Record<string, any>} [attributes]
 * @param {...Child} children
 * @returns {HTMLElementTagNameMap[T]}
 */
export function h(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith("on")) {
      element.addEventListener(name.slice(2), value);
    } else if (value === true) {
      element.setAttribute(name, "");
    } else if (value !== false && value !== undefined && value !== null) {
      element.setAttribute(name, String(value));
    }
  }
  element.append(...children.filter((child) => child !== null && child !== undefined && child !== false));
  return element;
}

/**
 * A decorative picture of the sandbox's own.
 * @param {string} name
 * @param {string} [className]
 */
export function picture(name, className = "Icon") {
  return h("img", {
    src: `/elements/static/frames/pictures/${name}.svg`,
    alt: "",
    class: className,
    width: 24,
    height: 16,
  });
}
