// Before the form is sent: asks whether the server wants a proof of work just now, and works it out if so.
// Whatever fails here, the form is sent: without the proof its mail comes a little later.

import { proofFor } from "./proof.js";

const form = document.querySelector("form[data-challenge]");
const status = document.querySelector("#checking");
let isOnItsWay = false;

form.addEventListener("submit", async (event) => {
  event.preventDefault();
  if (isOnItsWay) {
    return;
  }
  isOnItsWay = true;
  try {
    form.elements.proof.value = await proofFor(form.dataset.challenge, form.elements.address.value, () => {
      status.textContent = form.dataset.checking;
    });
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
