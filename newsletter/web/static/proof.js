// Works out a proof of work where the server asks for one: the number for which SHA-256(salt + number) is the challenge.

const AT_ONCE = 200; // numbers tried before the page may do other things
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
  const number = await numberOf(asked);
  const { algorithm, challenge, salt, signature } = asked;
  return number === null ? "" : btoa(JSON.stringify({ algorithm, challenge, number, salt, signature }));
}

async function numberOf({ challenge, salt, maxNumber }) {
  const start = parseInt(challenge.slice(0, 8), 16);
  for (let first = 0; first <= maxNumber; first += AT_ONCE) {
    const numbers = Array.from({ length: AT_ONCE }, (_, step) => first + step);
    const digests = await Promise.all(numbers.map((number) => digest(salt + number)));
    const found = digests.findIndex(
      (each) => new DataView(each).getUint32(0) === start && hex(each) === challenge,
    );
    if (found >= 0) {
      return first + found;
    }
  }
  return null;
}

function digest(text) {
  return crypto.subtle.digest("SHA-256", new TextEncoder().encode(text));
}

function hex(buffer) {
  return Array.from(new Uint8Array(buffer), (octet) => octet.toString(16).padStart(2, "0")).join("");
}
