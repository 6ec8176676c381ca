// Before the form is sent: asks whether the server wants a proof of work just now, and works it out if so.
// Whatever fails here, the form is sent: without the proof its mail comes a little later.

const form = document.querySelector("form[data-challenge]");
const status = document.querySelector("#checking");
const AT_ONCE = 200; // numbers tried before the page may do other things
const PATIENCE = 8000; // milliseconds for the server's answer
let isOnItsWay = false;

async function challengeFor(address) {
  const url = new URL(form.dataset.challenge, location.href);
  url.searchParams.set("domain", address.slice(address.lastIndexOf("@") + 1).trim());
  const answer = await fetch(url, { credentials: "omit", signal: AbortSignal.timeout(PATIENCE) });
  return answer.ok ? answer.json() : { needed: false };
}

function digest(text) {
  return crypto.subtle.digest("SHA-256", new TextEncoder().encode(text));
}

function hex(buffer) {
  return Array.from(new Uint8Array(buffer), (octet) => octet.toString(16).padStart(2, "0")).join("");
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

async function prove() {
  const asked = await challengeFor(form.elements.address.value);
  if (!asked.needed || !globalThis.crypto?.subtle) {
    return "";
  }
  status.textContent = form.dataset.checking;
  const number = await numberOf(asked);
  const { algorithm, challenge, salt, signature } = asked;
  return number === null ? "" : btoa(JSON.stringify({ algorithm, challenge, number, salt, signature }));
}

form.addEventListener("submit", async (event) => {
  event.preventDefault();
  if (isOnItsWay) {
    return;
  }
  isOnItsWay = true;
  try {
    form.elements.proof.value = await prove();
  } finally {
    HTMLFormElement.prototype.submit.call(form);
  }
});

// Who comes back to the page may send it once more.
addEventListener("pageshow", () => {
  isOnItsWay = false;
  form.elements.proof.value = "";
  status.textContent = "";
});
