/** @typedef {(payload: any) => unknown} Handler */

/** Named events with any number of handlers each. */
export class Emitter {
  constructor() {
    /** @type {Map<string, {handler: Handler, once: boolean}[]>} */
    this.handlers = new Map();
  }

  /**
   * @param {string} name
   * @param {Handler} handler
   * @param {boolean} [once]
   */
  add(name, handler, once = false) {
    this.handlers.set(name, [...(this.handlers.get(name) ?? []), { handler, once }]);
  }

  /**
   * Forget one handler of an event, or all of them.
   * @param {string} name
   * @param {Handler} [handler]
   */
  remove(name, handler) {
    const kept = (this.handlers.get(name) ?? []).filter((known) => handler && known.handler !== handler);
    this.handlers.set(name, kept);
  }

  /**
   * Call the handlers of an event; one that throws does not keep the others from being called.
   * @param {string} name
   * @param {unknown} payload
   */
  emit(name, payload) {
    for (const { handler, once } of this.handlers.get(name) ?? []) {
      if (once) {
        this.remove(name, handler);
      }
      try {
        handler(payload);
      } catch (error) {
        setTimeout(() => {
          throw error;
        });
      }
    }
  }

  /** @param {string} name */
  has(name) {
    return (this.handlers.get(name) ?? []).length > 0;
  }
}
