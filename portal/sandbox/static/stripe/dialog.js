import { Frame } from "./frame.js";

/** The frame may still be answering the click that ended it. */
const REMOVE_AFTER_MS = 300;

/**
 * Show a page of the sandbox over the whole window, as a modal dialog: the page below cannot be used meanwhile.
 * Resolves with what the dialog ends with; null when it was dismissed.
 * @param {string} page
 * @param {string} title
 * @param {{appearance?: import('@stripe/stripe-js').Appearance, [name: string]: unknown}} options handed to the page
 * @returns {{result: Promise<any>, close: () => void, frame: Frame}}
 */
export function openDialog(page, title, options) {
  const before = document.activeElement;
  const frame = new Frame(page, title);
  const dialog = document.createElement("dialog");
  dialog.setAttribute("aria-label", title);
  Object.assign(dialog.style, {
    border: "0",
    padding: "0",
    margin: "0",
    background: "transparent",
    position: "fixed",
    inset: "0",
    width: "100vw",
    height: "100vh",
    maxWidth: "none",
    maxHeight: "none",
    overflow: "hidden",
  });
  Object.assign(frame.iframe.style, {
    border: "0",
    display: "block",
    width: "100%",
    height: "100%",
    colorScheme: options.appearance?.theme === "night" ? "dark" : "light",
  });
  dialog.append(frame.iframe);
  document.body.append(dialog);

  let close = () => undefined;
  const result = new Promise((resolve) => {
    /** @param {unknown} value */
    const end = (value) => {
      dialog.close();
      setTimeout(() => {
        dialog.remove();
        frame.remove();
      }, REMOVE_AFTER_MS);
      if (before instanceof HTMLElement) {
        before.focus();
      }
      resolve(value);
    };
    close = () => void end(null);
    frame.events.add("done", end);
    frame.events.add("dismiss", () => end(null));
    dialog.addEventListener("cancel", (event) => {
      event.preventDefault();
      void frame.call("escape").catch(() => undefined);
    });
    frame.connected.catch(() => end(null));
  });
  dialog.showModal();
  void frame.call("init", options).then(
    () => frame.iframe.focus(),
    () => undefined,
  );
  return { result, close: () => close(), frame };
}
