// The key that a server may ask for, kept in this tab and until it is closed.

const NAME = "stt-api-key";
const POSSIBLE = /^[\w.~+-]+$/; // what may stand in a header and in a subprotocol

let entered = null; // where a browser keeps nothing

/** The key that was entered, or null. */
export function currentKey() {
  try {
    return sessionStorage.getItem(NAME) ?? entered;
  } catch {
    return entered;
  }
}

/** Use this key from now on; whether it can be one. */
export function keepKey(key) {
  if (!POSSIBLE.test(key)) return false;
  entered = key;
  try {
    sessionStorage.setItem(NAME, key);
  } catch {
    // It is asked for again when the page is loaded anew.
  }
  return true;
}

/** Headers of requests. */
export function keyHeaders() {
  const key = currentKey();
  return key ? { Authorization: `Bearer ${key}` } : {};
}

/** Subprotocols of WebSockets, for which a page can set no header. */
export function keyProtocols() {
  const key = currentKey();
  return key ? ["token", key] : [];
}
