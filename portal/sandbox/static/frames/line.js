/**
 * The line to the page around the frame: answers its calls and tells it what happens.
 *
 * The frame tells the page that it is there, and the page hands over a MessagePort; nothing else is listened to.
 * What goes out on it: events, validation results, intents. Never a card number, an expiry date or a security code.
 */

/** @typedef {Record<string, (argument: any) => unknown>} Methods */

/** @type {MessagePort | null} */
let port = null;

/**
 * Wait for the page and answer its calls with `methods`.
 * @param {Methods} methods
 */
export function answer(methods) {
  window.addEventListener("message", function connect(message) {
    if (message.source !== window.parent || message.data?.sandbox !== "connect" || !message.ports[0]) {
      return;
    }
    port = message.ports[0];
    port.onmessage = ({ data }) => void reply(methods, data);
    tell("connected");
  });
  // whichever page this is: the message says nothing but that the frame is there
  window.parent.postMessage({ sandbox: "ready" }, "*");
  watchSize();
  watchFocus();
}

/**
 * @param {Methods} methods
 * @param {{id: number, method: string, argument: unknown}} call
 */
async function reply(methods, { id, method, argument }) {
  try {
    const known = Object.hasOwn(methods, method) ? methods[method] : null;
    if (!known) {
      throw new Error(`This element has no ${method}().`);
    }
    port?.postMessage({ id, result: await known(argument) });
  } catch (error) {
    port?.postMessage({ id, failure: error instanceof Error ? error.message : String(error) });
  }
}

/**
 * Tell the page about something.
 * @param {string} event
 * @param {object} [payload]
 */
export function tell(event, payload = {}) {
  port?.postMessage({ event, payload });
}

function watchSize() {
  let known = 0;
  new ResizeObserver(() => {
    const height = Math.ceil(document.body.getBoundingClientRect().height);
    if (height !== known) {
      known = height;
      tell("resize", { height });
    }
  }).observe(document.body);
}

function watchFocus() {
  window.addEventListener("focus", () => tell("focus"));
  window.addEventListener("blur", () => tell("blur"));
  document.addEventListener("keydown", (event) => {
    if (event.key === "Escape") {
      tell("escape");
    }
  });
}
