import { require } from "./errors.js";
import { Emitter } from "./emitter.js";
import { Frame } from "./frame.js";

/** @typedef {import('./group.js').Group} Group */
/** @typedef {'payment' | 'linkAuthentication' | 'expressCheckout' | 'address'} ElementType */

/** Where each element's frame is, what a screen reader calls it, and how high it is before it says so itself. */
const PAGES = {
  payment: { page: "payment", title: "Secure payment input frame", height: 540 },
  linkAuthentication: { page: "link-authentication", title: "Secure email input frame", height: 80 },
  expressCheckout: { page: "express-checkout", title: "Secure express checkout frame", height: 44 },
  address: { page: "address", title: "Secure address input frame", height: 466 },
};
const EVENTS = {
  payment: [
    "availablepaymentmethodschange",
    "carddetailschange",
    "change",
    "savedpaymentmethodupdate",
    "savedpaymentmethodremove",
  ],
  linkAuthentication: ["change"],
  expressCheckout: [
    "click",
    "confirm",
    "cancel",
    "shippingaddresschange",
    "shippingratechange",
    "availablepaymentmethodschange",
  ],
  address: ["change"],
};
const COMMON_EVENTS = ["ready", "focus", "blur", "escape", "loaderror", "loaderstart"];
/** The frame is wider than its place by this much on each side, so that focus rings are not cut off. */
const RING = 4;

/** One element: a frame of the sandbox's origin in a place on the page. */
export class Element {
  /**
   * @param {ElementType} type
   * @param {Group} group
   * @param {Record<string, any>} options
   */
  constructor(type, group, options) {
    this.type = type;
    this.group = group;
    this.options = options;
    this.emitter = new Emitter();
    /** @type {Frame | null} */
    this.frame = null;
    /** @type {HTMLElement | null} */
    this.place = null;
    this.destroyed = false;
  }

  /** @param {string | HTMLElement} target */
  mount(target) {
    require(!this.destroyed, `This Element has already been destroyed. Please create a new one.`);
    require(target, "Missing argument. Make sure to call mount() with a valid DOM element or selector.");
    const place = typeof target === "string" ? document.querySelector(target) : target;
    require(place instanceof
      HTMLElement, `The selector you specified (${target}) applies to no DOM elements that are currently on the page.\n` +
      "Make sure the element exists on the page before calling mount().");
    if (place === this.place) {
      return;
    }
    this.unmount();
    this.place = place;
    place.classList.add("StripeElement");
    const { page, title, height } = PAGES[this.type];
    const frame = new Frame(page, title);
    this.frame = frame;
    this.lay(frame, height);
    this.listen(frame);
    place.replaceChildren(frame.iframe);
    this.emitter.emit("loaderstart", { elementType: this.type });
    frame.call("init", { ...this.group.frameOptions(), options: this.options }).catch((reason) => {
      if (this.frame === frame) {
        this.emitter.emit("loaderror", {
          elementType: this.type,
          error: { type: "api_connection_error", message: String(reason.message) },
        });
      }
    });
  }

  /**
   * @param {Frame} frame
   * @param {number} height
   */
  lay(frame, height) {
    Object.assign(frame.iframe.style, {
      border: "0",
      display: "block",
      width: `calc(100% + ${2 * RING}px)`,
      margin: `-${RING}px`,
      height: `${height + 2 * RING}px`,
      minWidth: "100%",
      colorScheme: this.group.colorScheme(),
    });
  }

  /** @param {Frame} frame */
  listen(frame) {
    frame.events.add("resize", ({ height }) => {
      frame.iframe.style.height = `${height}px`;
    });
    for (const name of [...COMMON_EVENTS, ...EVENTS[this.type]]) {
      frame.events.add(name, (payload) => {
        this.group.heard(this, name, payload);
        this.emitter.emit(name, { ...payload, elementType: this.type });
      });
    }
  }

  /**
   * @param {string} name
   * @param {(event: any) => unknown} handler
   */
  on(name, handler) {
    this.checkEvent("on", name, handler);
    this.emitter.add(name, handler);
    return this;
  }

  /**
   * @param {string} name
   * @param {(event: any) => unknown} handler
   */
  once(name, handler) {
    this.checkEvent("once", name, handler);
    this.emitter.add(name, handler, true);
    return this;
  }

  /**
   * @param {string} name
   * @param {(event: any) => unknown} [handler]
   */
  off(name, handler) {
    this.emitter.remove(name, handler);
    return this;
  }

  /**
   * @param {string} method
   * @param {string} name
   * @param {unknown} handler
   */
  checkEvent(method, name, handler) {
    const known = [...COMMON_EVENTS, ...EVENTS[this.type]];
    require(known.includes(
      name,
    ), `Invalid event name: '${name}' is not an event of the ${this.type} Element. Valid events are: ${known.join(", ")}.`);
    require(typeof handler ===
      "function", `Invalid argument for element.${method}(): the handler should be a function.`);
  }

  /** @param {Record<string, any>} options */
  update(options) {
    require(options &&
      typeof options === "object", "Invalid value for element.update(): options should be an object.");
    this.options = { ...this.options, ...options };
    this.tell("update", options);
    return this;
  }

  /**
   * @param {string} method
   * @param {unknown} [argument]
   */
  tell(method, argument) {
    this.frame?.call(method, argument).catch(() => undefined);
  }

  focus() {
    this.frame?.iframe.focus();
    this.tell("focus");
  }

  blur() {
    this.tell("blur");
    this.frame?.iframe.blur();
  }

  clear() {
    this.tell("clear");
  }

  collapse() {
    this.tell("collapse");
    return this;
  }

  /** The frame, for a call that needs the element to be on the page. */
  mounted() {
    return this.frame?.iframe.isConnected ? this.frame : null;
  }

  unmount() {
    this.frame?.remove();
    this.frame = null;
    this.place?.classList.remove("StripeElement");
    this.place = null;
  }

  destroy() {
    this.unmount();
    this.destroyed = true;
    this.group.forget(this);
  }
}
