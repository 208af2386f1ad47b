/** The sandbox's origin: where this script came from. Frames, pages and the API live there too. */
export const ORIGIN = new URL(/** @type {HTMLScriptElement} */ (document.currentScript).src).origin;
