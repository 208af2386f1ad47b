import { Emitter } from "./emitter.js";
import { ORIGIN } from "./origin.js";

const PATIENCE_MS = 10_000;
let count = 0;

/**
 * An iframe of the sandbox's origin and the line to it.
 *
 * What is typed into it stays in it: the page gets validation results, events and intents, never card data. The line
 * is a MessagePort handed to the frame's window under the sandbox's origin only, so no other origin can listen in.
 * The frame asks for it: before that its window may still hold the empty document of the page's own origin.
 */
export class Frame {
  /**
   * @param {string} page name of the frame's page, as `payment`
   * @param {string} title what a screen reader calls it
   * @param {Record<string, string>} [query]
   */
  constructor(page, title, query = {}) {
    count += 1;
    this.events = new Emitter();
    this.iframe = document.createElement("iframe");
    this.iframe.name = `__privateStripeFrame${count}`;
    this.iframe.title = title;
    this.iframe.allow = `payment ${ORIGIN}; publickey-credentials-get ${ORIGIN}`;
    this.iframe.setAttribute("frameborder", "0");
    this.iframe.src = `${ORIGIN}/elements/${page}?${new URLSearchParams(query)}`;
    /** @type {Map<number, {resolve: (value: any) => void, reject: (reason: Error) => void}>} */
    this.waiting = new Map();
    this.calls = 0;
    /** @type {MessagePort | null} */
    this.port = null;
    this.listening = new AbortController();
    this.connected = new Promise((resolve, reject) => {
      const late = () => reject(new Error("The payment form did not load."));
      this.iframe.addEventListener("load", () => setTimeout(late, PATIENCE_MS), { once: true });
      window.addEventListener(
        "message",
        ({ data, origin, source }) => {
          if (source === this.iframe.contentWindow && origin === ORIGIN && data?.sandbox === "ready") {
            this.connect(resolve);
          }
        },
        { signal: this.listening.signal },
      );
    });
    this.connected.catch(() => undefined);
  }

  /** @param {(value?: unknown) => void} resolve */
  connect(resolve) {
    const channel = new MessageChannel();
    this.port?.close();
    this.port = channel.port1;
    channel.port1.onmessage = (message) => {
      if (message.data.event === "connected") {
        resolve();
      } else {
        this.receive(message.data);
      }
    };
    this.iframe.contentWindow?.postMessage({ sandbox: "connect" }, ORIGIN, [channel.port2]);
  }

  /** @param {{event?: string, payload?: any, id?: number, result?: unknown, failure?: string}} data */
  receive(data) {
    if (data.event) {
      this.events.emit(data.event, data.payload);
      return;
    }
    const waiting = this.waiting.get(data.id ?? 0);
    this.waiting.delete(data.id ?? 0);
    if (data.failure) {
      waiting?.reject(new Error(data.failure));
    } else {
      waiting?.resolve(data.result);
    }
  }

  /**
   * Ask the frame to do something; resolves with what it answers.
   * @param {string} method
   * @param {unknown} [argument]
   * @returns {Promise<any>}
   */
  async call(method, argument) {
    await this.connected;
    this.calls += 1;
    const id = this.calls;
    return new Promise((resolve, reject) => {
      this.waiting.set(id, { resolve, reject });
      this.port?.postMessage({ id, method, argument });
    });
  }

  /** Take the frame out of the page. */
  remove() {
    this.listening.abort();
    this.port?.close();
    this.iframe.remove();
    for (const { reject } of this.waiting.values()) {
      reject(new Error("The element was unmounted."));
    }
    this.waiting.clear();
  }
}
