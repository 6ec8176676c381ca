// Works out a proof of work where the server asks for one: the number for which SHA-256(salt + number) is the challenge.

const AT_ONCE = 100; // numbers tried before looking at the clock
const BUSY_FOR = 30; // milliseconds, before the page may do other things
const HIDDEN_FOR = 60; // milliseconds, in which a page that is seen is drawn
const PATIENCE = 8000; // milliseconds for the server's answer

// Returns the proof in base64, or "" if none is needed or none can be worked out; `onStart` is called before the work.
export async function proofFor(challengeUrl, address, onStart) {
  const url = new URL(challengeUrl, location.href);
  url.searchParams.set("domain", address.slice(address.lastIndexOf("@") + 1).trim());
  const answer = await fetch(url, { credentials: "omit", signal: AbortSignal.timeout(PATIENCE) });
  const asked = answer.ok ? await answer.json() : { needed: false };
  if (!asked.needed || !globalThis.crypto?.subtle) {
    return "";
  }
  onStart();
  await rest();
  const number = await numberOf(asked);
  const { algorithm, challenge, salt, signature } = asked;
  return number === null ? "" : btoa(JSON.stringify({ algorithm, challenge, number, salt, signature }));
}

async function numberOf({ challenge, salt, maxNumber }) {
  const start = parseInt(challenge.slice(0, 8), 16);
  let since = performance.now();
  for (let first = 0; first <= maxNumber; first += AT_ONCE) {
    const numbers = Array.from({ length: AT_ONCE }, (_, step) => first + step);
    const digests = await Promise.all(numbers.map((number) => digest(salt + number)));
    const found = digests.findIndex(
      (each) => new DataView(each).getUint32(0) === start && hex(each) === challenge,
    );
    if (found >= 0) {
      return first + found;
    }
    if (performance.now() - since > BUSY_FOR) {
      await rest();
      since = performance.now();
    }
  }
  return null;
}

// Lets the page be drawn and answer to a finger. A page that nobody looks at is not drawn.
function rest() {
  return new Promise((rested) => {
    requestAnimationFrame(() => setTimeout(rested));
    setTimeout(rested, HIDDEN_FOR);
  });
}

function digest(text) {
  return crypto.subtle.digest("SHA-256", new TextEncoder().encode(text));
}

function hex(buffer) {
  return Array.from(new Uint8Array(buffer), (octet) => octet.toString(16).padStart(2, "0")).join("");
}
